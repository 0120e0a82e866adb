import { randomBytes } from "node:crypto";
import { TiffinError } from "../../base/error.ts";
import type { AddressAllocator } from "../../network/address-allocator.ts";
import type { PlannedLink } from "../../network/link-operations.ts";
import type { Endpoint, Network } from "../../network/network.ts";
import { addressBytes, parseAddress, parseSubnet } from "../../network/subnet.ts";
import type { EngineContext } from "../context.ts";
import type { NetworkRequest } from "../types.ts";
import { ensureBridge, mtuOf } from "./ensure-bridge.ts";

/** Behind the kernel's own interfaces of a new namespace (tunl0 and the like), whichever it makes. */
const FIRST_INTERFACE_INDEX = 100;
/** Beyond the numbers that the kernel gives by itself. */
const FIRST_HOST_INDEX = 0x0100_0000;
const HOST_INDEXES = 0x7e00_0000;

/** A container's place in a network: addresses taken, nothing made yet but the network's bridge. @throws what is in the way */
export function makeEndpoint(
  context: EngineContext,
  containerId: string,
  place: { readonly network: Network; readonly request: NetworkRequest; readonly index: number },
): PlannedLink {
  const { request, index } = place;
  const { network, on, macvlanMode } = groundOf(context, place.network);
  const addresses = takeAddresses(context, network, request);
  const endpoint: Endpoint = {
    id: randomBytes(32).toString("hex"),
    networkId: network.id,
    interfaceName: `eth${index}`,
    interfaceIndex: FIRST_INTERFACE_INDEX + index,
    // Another one in every run: the last run's may still be on its way out.
    hostInterface:
      macvlanMode === undefined
        ? `tv${containerId.slice(0, 8)}${randomBytes(2).toString("hex")}`
        : "",
    hostIndex: FIRST_HOST_INDEX + (randomBytes(4).readUInt32LE() % HOST_INDEXES),
    mac: request.mac === "" ? macOf(addresses.ipv4) : request.mac,
    ...addresses,
    isDefault: false,
  };
  return {
    endpoint,
    on,
    mtu: mtuOf(network),
    isolated: network.options["com.docker.network.bridge.enable_icc"] === "false",
    ...(macvlanMode === undefined ? {} : { macvlanMode }),
  };
}

/** What the interface is made on. */
function groundOf(
  context: EngineContext,
  asked: Network,
): { network: Network; on: number; macvlanMode?: string } {
  if (asked.driver !== "macvlan") {
    const { network, link } = ensureBridge(context, asked);
    return { network, on: link.index };
  }
  const parent = asked.options["parent"] ?? "";
  const link = context.networks.host.link(parent);
  if (!link) {
    throw new TiffinError(
      "not-found",
      `Cannot join network "${asked.name}": the host has no interface ${parent}`,
      {
        hint: "See ip link; make the network again with another --opt parent=NAME",
      },
    );
  }
  return { network: asked, on: link.index, macvlanMode: asked.options["macvlan_mode"] ?? "bridge" };
}

type Addresses = Pick<
  Endpoint,
  "ipv4" | "ipv4PrefixLength" | "ipv6" | "ipv6PrefixLength" | "gateway4" | "gateway6"
>;

function takeAddresses(
  context: EngineContext,
  network: Network,
  request: NetworkRequest,
): Addresses {
  const allocators = context.networks.allocatorsOf(network);
  const one = (version: 4 | 6): { address: string; prefixLength: number; gateway: string } => {
    const asked = version === 4 ? request.ipv4 : request.ipv6;
    const index = network.pools.findIndex(({ subnet }) => subnet.includes(":") === (version === 6));
    const pool = network.pools[index];
    const allocator = allocators[index];
    if (!pool || !allocator) {
      if (asked !== "") throw noSubnet(asked);
      return { address: "", prefixLength: 0, gateway: "" };
    }
    return {
      address: asked === "" ? allocator.take() : allocator.claim(asked),
      prefixLength: parseSubnet(pool.subnet).prefixLength,
      gateway: network.internal ? "" : pool.gateway,
    };
  };
  const v4 = one(4);
  try {
    const v6 = one(6);
    return {
      ipv4: v4.address,
      ipv4PrefixLength: v4.prefixLength,
      gateway4: v4.gateway,
      ipv6: v6.address,
      ipv6PrefixLength: v6.prefixLength,
      gateway6: v6.gateway,
    };
  } catch (error) {
    if (v4.address !== "") freeAddress(allocators, v4.address);
    throw error;
  }
}

function noSubnet(address: string): TiffinError {
  return new TiffinError("invalid-argument", `no configured subnet contains IP address ${address}`);
}

/** Gives an endpoint's addresses back. */
export function freeEndpoint(context: EngineContext, endpoint: Endpoint): void {
  const network = context.networks.table.withId(endpoint.networkId);
  if (!network) return;
  const allocators = context.networks.allocatorsOf(network);
  for (const address of [endpoint.ipv4, endpoint.ipv6]) {
    if (address !== "") freeAddress(allocators, address);
  }
}

function freeAddress(allocators: readonly AddressAllocator[], address: string): void {
  allocators.find((allocator) => allocator.has(address))?.free(address);
}

/** From the IPv4 address, as docker made them: who gets that address again is known to its neighbours already. */
function macOf(ipv4: string): string {
  const bytes = ipv4 === "" ? randomBytes(4) : addressBytes(parseAddress(ipv4));
  return [2, 0x42, ...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
