import { randomBytes } from "node:crypto";
import { TiffinError } from "../../base/error.ts";
import type { Link } from "../../kernel/rtnetlink.ts";
import { chooseSubnet, localIpv6Subnet } from "../../network/choose-subnet.ts";
import { networkElements } from "../../network/firewall.ts";
import { allowForwarding, hasIpv6 } from "../../network/host-network.ts";
import type { AddressPool, Network } from "../../network/network.ts";
import {
  formatAddress,
  formatSubnet,
  overlap,
  parseSubnet,
  type Subnet,
} from "../../network/subnet.ts";
import type { EngineContext } from "../context.ts";

const MTU_OPTION = "com.docker.network.driver.mtu";

/** Bytes in a packet of the network; 0: the kernel's choice. */
export function mtuOf({ options }: Network): number {
  return Number(options[MTU_OPTION] ?? 0);
}

/**
 * The bridge of a network, made when it is not there: at the first container that needs it, and again after a reboot. The default
 * network chooses its subnet then.
 * @throws conflict: the host has a route into the subnet by now; permission-denied, unavailable
 */
export function ensureBridge(
  context: EngineContext,
  asked: Network,
): { network: Network; link: Link } {
  const { networks } = context;
  const name = networks.bridgeName(asked);
  const known = networks.host.link(name);
  if (known && known.kind !== "bridge") throw nameTaken(name);
  const made = known ? { network: asked, link: known } : makeBridge(context, asked, name);
  const { network, link } = made;
  if (known && networks.firewall.has(network.id)) return made;
  try {
    if (!networks.firewall.has(network.id)) {
      networks.firewall.add(network.id, networkElements(network, name));
    }
    // Without the firewall nothing would keep networks apart.
    const isLed = networks.firewall.inForce !== "none";
    if (isLed && !network.internal) allowForwarding({ ipv6: network.ipv6 });
    networks.host.routeLoopback(name, isLed);
  } catch (error) {
    if (!known) networks.host.deleteLink(link.index);
    throw error;
  }
  return made;
}

/** How often another engine may choose the same subnet at the same moment. */
const MOST_TRIES = 8;

/** Where the engine itself chose the subnet and nobody is in it, it chooses another one rather than fail. */
function makeBridge(
  context: EngineContext,
  asked: Network,
  name: string,
): { network: Network; link: Link } {
  const { networks } = context;
  const isFree = asked.predefined && networks.membersOf(asked.id).length === 0;
  let network = asked;
  for (let tries = 1; ; tries++) {
    if (network.pools.length === 0 || (isFree && clash(context, network))) {
      network = withSubnet(context, network);
    }
    const before = clash(context, network);
    if (before) throw overlaps(network.name, before);
    const link = networks.host.makeBridge({
      name,
      mac: bridgeMac(network),
      mtu: mtuOf(network),
      pools: network.pools,
    });
    const after = clash(context, network, link.index);
    if (!after) return { network, link };
    networks.host.deleteLink(link.index);
    if (!isFree || tries === MOST_TRIES) throw overlaps(network.name, after);
  }
}

/** Takes a network's bridge from the host, and what the firewall has of it. */
export function removeBridge(context: EngineContext, network: Network): void {
  const { networks } = context;
  networks.firewall.remove(network.id);
  const link = networks.host.link(networks.bridgeName(network));
  if (link?.kind === "bridge") networks.host.deleteLink(link.index);
}

/** The default network with the subnet that is chosen for it now, on record. */
function withSubnet(context: EngineContext, asked: Network): Network {
  const pools = choosePools(context, { ...asked, ipv6: true }, "default");
  const network = { ...asked, pools, ipv6: pools.some(({ subnet }) => subnet.includes(":")) };
  context.networks.table.insert(network);
  context.networks.forget(network.id);
  return network;
}

/** Subnets for a network that was given none: IPv4 from the pools, IPv6 of its own. */
export function choosePools(
  context: EngineContext,
  network: Pick<Network, "id" | "ipv4" | "ipv6">,
  pool: "default" | "user",
): AddressPool[] {
  const pools: AddressPool[] = [];
  if (network.ipv4) {
    const seed = context.networks.suffix === "" ? 0 : randomBytes(4).readUInt32LE();
    pools.push(plainPool(chooseSubnet({ pool, taken: takenSubnets(context), seed })));
  }
  if (network.ipv6 && hasIpv6()) pools.push(plainPool(localIpv6Subnet(context.id, network.id)));
  return pools;
}

function plainPool(subnet: Subnet): AddressPool {
  const { version, base } = subnet;
  return {
    subnet: formatSubnet(subnet),
    gateway: formatAddress({ version, value: base + 1n }),
    range: "",
    auxiliary: {},
  };
}

/** Subnets of the engine's networks and of the host's routes. */
function takenSubnets(context: EngineContext): Subnet[] {
  const own = context.networks.table
    .all()
    .flatMap(({ pools }) => pools.map(({ subnet }) => parseSubnet(subnet)));
  return [...own, ...context.networks.host.routes()];
}

/** A subnet of the network's and the host's route that overlaps it, but for those of its own bridge. */
function clash(
  context: EngineContext,
  network: Network,
  except = 0,
): { subnet: string; route: string } | undefined {
  const routes = context.networks.host.routes({ except });
  for (const { subnet: text } of network.pools) {
    const subnet = parseSubnet(text);
    const route = routes.find((other) => overlap(other, subnet));
    if (route) return { subnet: text, route: formatSubnet(route) };
  }
  return undefined;
}

function overlaps(name: string, found: { subnet: string; route: string }): TiffinError {
  return new TiffinError(
    "conflict",
    `Cannot set up network "${name}": its subnet ${found.subnet} overlaps the host's route ${found.route}`,
    { hint: "See ip route; remove the network and make it again with another --subnet" },
  );
}

function nameTaken(name: string): TiffinError {
  return new TiffinError(
    "conflict",
    `Cannot make the bridge ${name}: an interface of that name is no bridge`,
    {
      hint: "Choose another name: --opt com.docker.network.bridge.name=NAME",
    },
  );
}

/** Always the same for a network, so that neighbours' tables stay right. */
function bridgeMac(network: Network): Uint8Array {
  return Buffer.concat([Uint8Array.of(2, 0x42), Buffer.from(network.id.slice(0, 8), "hex")]);
}
