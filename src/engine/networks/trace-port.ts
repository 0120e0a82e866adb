import { NetlinkSocket } from "../../kernel/netlink-socket.ts";
import { type ListedChain, listChains } from "../../kernel/nft-listing.ts";
import { NETLINK_NETFILTER } from "../../kernel/nftables.ts";
import { hostListener } from "../../network/host-port.ts";
import { readSetting } from "../../network/host-network.ts";
import { listeningIn } from "../../network/listening.ts";
import type { Attachment, Protocol, PublishedPort } from "../../network/network.ts";
import { type Packet, type Walk, walkChain } from "../../network/packet-walk.ts";
import { PROTOCOL_NUMBER } from "../../network/port-elements.ts";
import { type PortTrace, type TraceFacts, tracePort } from "../../network/port-trace.ts";
import { addressBytes, parseAddress } from "../../network/subnet.ts";
import type { EngineContext } from "../context.ts";
import { isRunning } from "../stop-container.ts";

interface Asked {
  readonly port: number;
  readonly protocol: Protocol;
}

interface Owner {
  readonly id: string;
  readonly attachment: Attachment;
  readonly published: PublishedPort;
}

/** Which way a packet for a port of the host takes, and who lets it pass or not. @throws permission-denied: no look at the rules */
export function tracePublishedPort(context: EngineContext, asked: Asked): PortTrace {
  const owner = ownerOf(context, asked);
  const target = owner && targetOf(context, owner, asked);
  const { firewall } = context.networks;
  const version = target?.address.includes(":") === true ? 6 : 4;
  const forwarding = version === 6 ? "ipv6/conf/all/forwarding" : "ipv4/ip_forward";
  return tracePort({
    ...asked,
    ...(target ? { target } : {}),
    stopped: stoppedOwners(context, asked),
    hostListener: target ? "" : (hostListener(asked.protocol, asked.port) ?? ""),
    table: firewall.table,
    hasTable: firewall.lack() === "",
    forwards: readSetting(forwarding) === "1",
    walks: walks(asked, target, version),
  });
}

/** Of those that are led at IPv4 and IPv6, the former. */
function ownerOf({ networks }: EngineContext, { port, protocol }: Asked): Owner | undefined {
  return [...networks.attachments]
    .flatMap(([id, attachment]) =>
      attachment.ports
        .filter(
          (one) =>
            one.protocol === protocol && port >= one.hostPort && port < one.hostPort + one.count,
        )
        .map((published): Owner => ({ id, attachment, published })),
    )
    .toSorted(
      (one, other) =>
        Number(one.published.hostIp.includes(":")) - Number(other.published.hostIp.includes(":")),
    )[0];
}

function targetOf(
  { networks, containers }: EngineContext,
  { id, attachment, published }: Owner,
  { port, protocol }: Asked,
): TraceFacts["target"] {
  const endpoint = attachment.endpoints.find(({ isDefault }) => isDefault);
  const network = endpoint && networks.table.withId(endpoint.networkId);
  const container = containers.withId(id);
  if (!endpoint || !network || !container) return undefined;
  const { hostIp, hostPort } = published;
  const containerPort = published.containerPort + port - hostPort;
  const bridge = networks.bridgeName(network);
  return {
    container: container.name,
    hostIp,
    address: hostIp.includes(":") ? endpoint.ipv6 : endpoint.ipv4,
    containerPort,
    network: network.name,
    bridge,
    hasBridge: networks.host.link(bridge) !== undefined,
    isPaused: container.state.status === "paused",
    listening: listeningIn(container.state.pid, protocol, containerPort),
  };
}

function stoppedOwners({ containers }: EngineContext, { port, protocol }: Asked): string[] {
  return containers
    .all()
    .filter((container) => !isRunning(container))
    .filter(({ spec }) =>
      Object.entries(spec.portBindings).some(
        ([name, list]) =>
          name.endsWith(`/${protocol}`) && list.some(({ hostPort }) => hostPort === String(port)),
      ),
    )
    .map(({ name }) => name);
}

/** Where an engine's own table leads a packet elsewhere. */
const DSTNAT = -100;

/** The chains of others that the packet comes by. Engines' tables let what is not theirs pass. */
function walks(asked: Asked, target: TraceFacts["target"], version: 4 | 6): Walk[] {
  const chains = allChains();
  const isOnWay = ({ family, table, base }: ListedChain): boolean =>
    family !== (version === 4 ? "ip6" : "ip") &&
    !/^tiffin(-[0-9a-f]{8})?$/.test(table) &&
    ["prerouting", target ? "forward" : "input"].includes(base?.hook ?? "");
  return chains.filter(isOnWay).map((chain) => {
    const isBefore = chain.base?.hook === "prerouting" && chain.base.priority <= DSTNAT;
    const protocol = PROTOCOL_NUMBER[asked.protocol];
    const packet: Packet =
      target === undefined || isBefore
        ? { version, protocol, port: asked.port, isLed: false }
        : {
            version,
            protocol,
            port: target.containerPort,
            address: addressBytes(parseAddress(target.address)),
            ...(chain.base?.hook === "forward" ? { outInterface: target.bridge } : {}),
            isLed: true,
          };
    return walkChain(chain, chains, packet);
  });
}

function allChains(): ListedChain[] {
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    return listChains(socket);
  } finally {
    socket.close();
  }
}
