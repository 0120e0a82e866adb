import { randomBytes } from "node:crypto";
import { invalidArgument, TiffinError } from "../../base/error.ts";
import { faultPoint } from "../../base/fault-point.ts";
import { isMacvlanMode } from "../../kernel/rtnetlink.ts";
import { completePool } from "../../network/complete-pool.ts";
import { formatSubnet, overlap, parseSubnet } from "../../network/subnet.ts";
import type { AddressPool, Network, NetworkDriver } from "../../network/network.ts";
import type { EngineContext } from "../context.ts";
import { timestamp } from "../timestamp.ts";
import { choosePools, ensureBridge } from "./ensure-bridge.ts";
import { emitNetworkEvent } from "./network-event.ts";

export interface NetworkCreation {
  readonly name: string;
  /** "" is bridge. */
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  readonly ipamOptions: Readonly<Record<string, string>>;
  /** Gateway and range may be "". */
  readonly pools: readonly AddressPool[];
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly internal: boolean;
  readonly attachable: boolean;
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const LONGEST_INTERFACE_NAME = 15;

/**
 * Makes a network: its record, and its bridge on the host, whose route keeps the subnet. Nothing of it is there when this fails.
 * @throws already-exists, conflict, invalid-argument, resource-exhausted, permission-denied, not-found (driver)
 */
export function createNetwork(context: EngineContext, request: NetworkCreation): Promise<Network> {
  return context.lock.hold("network", () => {
    const driver = readDriver(request.driver);
    checkName(context, request.name);
    checkOptions(context, driver, request.options);
    const network = completeNetwork(context, request, driver);
    context.networks.table.insert(network);
    faultPoint("network:created");
    try {
      if (driver === "bridge") ensureBridge(context, network);
    } catch (error) {
      context.networks.table.delete(network.id);
      throw error;
    }
    emitNetworkEvent(context, network, "create");
    return network;
  });
}

function readDriver(driver: string): NetworkDriver {
  if (driver === "" || driver === "bridge" || driver === "default") return "bridge";
  if (driver === "macvlan") return driver;
  if (driver === "host" || driver === "null" || driver === "none") {
    throw new TiffinError(
      "permission-denied",
      `only one instance of "${driver === "none" ? "null" : driver}" network is allowed`,
      { hint: "It is there already: --network host, --network none" },
    );
  }
  if (driver === "ipvlan" || driver === "overlay") {
    throw new TiffinError("not-implemented", `Cannot make a network with driver "${driver}"`, {
      hint: "Known drivers are bridge and macvlan",
    });
  }
  throw new TiffinError(
    "not-found",
    `could not find plugin "${driver}" in v1 plugin registry: plugin not found`,
    {
      hint: "Known drivers are bridge and macvlan",
    },
  );
}

function checkName(context: EngineContext, name: string): void {
  if (name.trim() === "") throw invalidArgument("invalid network name: name is empty");
  if (!NAME.test(name)) {
    throw invalidArgument(
      `invalid network name "${name}": only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  const known = context.networks.table.withName(name);
  if (known?.predefined === true || name === "default") {
    throw new TiffinError(
      "permission-denied",
      `operation is not permitted on predefined ${name} network`,
      { hint: "Choose another name" },
    );
  }
  if (known) {
    throw new TiffinError("already-exists", `network with name ${name} already exists`, {
      hint: `Choose another name, or remove it: tiffin network rm ${name}`,
    });
  }
}

function checkOptions(
  context: EngineContext,
  driver: NetworkDriver,
  options: Readonly<Record<string, string>>,
): void {
  const mtu = options["com.docker.network.driver.mtu"];
  if (mtu !== undefined && !/^\d{2,5}$/.test(mtu)) {
    throw invalidArgument(`invalid value for the network's MTU: ${mtu}`);
  }
  for (const name of ["enable_icc", "enable_ip_masquerade"]) {
    const value = options[`com.docker.network.bridge.${name}`];
    if (value !== undefined && value !== "true" && value !== "false") {
      throw invalidArgument(`invalid value for ${name}: ${value}: want true or false`);
    }
  }
  if (driver === "macvlan") checkMacvlan(context, options);
  const bridge = options["com.docker.network.bridge.name"];
  if (driver !== "bridge" || bridge === undefined || bridge === "") return;
  if (!/^[^/\s:]+$/.test(bridge) || bridge.length > LONGEST_INTERFACE_NAME) {
    throw invalidArgument(
      `invalid name of a bridge: "${bridge}": at most 15 characters, no / or :`,
    );
  }
  if (context.networks.host.link(bridge)) {
    throw new TiffinError(
      "conflict",
      `Cannot make the bridge ${bridge}: the host has an interface of that name`,
      {
        hint: "Choose another com.docker.network.bridge.name",
      },
    );
  }
}

function checkMacvlan(context: EngineContext, options: Readonly<Record<string, string>>): void {
  const { parent = "", macvlan_mode: mode = "bridge" } = options;
  if (parent === "" || !context.networks.host.link(parent)) {
    throw invalidArgument(
      parent === ""
        ? "Cannot make a macvlan network without an interface of the host to be on"
        : `Cannot make a macvlan network on ${parent}: the host has no such interface`,
      "Name one: --opt parent=eth0 (see ip link)",
    );
  }
  if (!isMacvlanMode(mode)) throw invalidArgument(`unknown macvlan mode: ${mode}`);
}

function completeNetwork(
  context: EngineContext,
  request: NetworkCreation,
  driver: NetworkDriver,
): Network {
  const id = randomBytes(32).toString("hex");
  const asked = request.pools.map((pool) => completePool(pool));
  const has = (version: 4 | 6): boolean =>
    asked.some(({ subnet }) => subnet.includes(":") === (version === 6));
  const [first, second] = asked;
  if (
    asked.length > 2 ||
    (first && second && first.subnet.includes(":") === second.subnet.includes(":"))
  ) {
    throw invalidArgument("Cannot make a network with two subnets of one address family");
  }
  for (const { subnet } of asked) checkFree(context, driver, subnet);
  const missing = choosePools(
    context,
    { id, ipv4: request.ipv4 && !has(4), ipv6: request.ipv6 && !has(6) },
    "user",
  );
  const pools = [...asked, ...missing].toSorted(
    (one, other) => Number(one.subnet.includes(":")) - Number(other.subnet.includes(":")),
  );
  return {
    id,
    name: request.name,
    createdAt: timestamp(),
    driver,
    pools,
    labels: request.labels,
    options: request.options,
    ipamOptions: request.ipamOptions,
    ipv4: request.ipv4 || has(4),
    ipv6: pools.some(({ subnet }) => subnet.includes(":")),
    internal: request.internal,
    attachable: request.attachable,
    predefined: false,
  };
}

/** A macvlan's subnet is one of the host's own network as a rule. */
function checkFree(context: EngineContext, driver: NetworkDriver, text: string): void {
  const subnet = parseSubnet(text);
  for (const network of context.networks.table.all()) {
    if (network.driver !== "bridge" && driver !== "bridge") continue;
    if (!network.pools.some((pool) => overlap(parseSubnet(pool.subnet), subnet))) continue;
    throw new TiffinError("conflict", "Pool overlaps with other one on this address space", {
      hint: `Network "${network.name}" has ${network.pools.map((pool) => pool.subnet).join(", ")}`,
    });
  }
  const route =
    driver === "bridge"
      ? context.networks.host.routes().find((one) => overlap(one, subnet))
      : undefined;
  if (!route) return;
  throw new TiffinError(
    "conflict",
    `Cannot make a network with subnet ${text}: it overlaps the host's route ${formatSubnet(route)}`,
    { hint: "Choose another --subnet, or leave it to the engine" },
  );
}
