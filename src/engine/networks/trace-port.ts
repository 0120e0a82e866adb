import { NetlinkSocket } from "../../kernel/netlink-socket.ts";
import { listChains, listElements } from "../../kernel/nft-listing.ts";
import { NETLINK_NETFILTER } from "../../kernel/nftables.ts";
import { hostListener } from "../../network/host-port.ts";
import { readSetting } from "../../network/host-network.ts";
import { listeningIn } from "../../network/listening.ts";
import type { Attachment, Protocol, PublishedPort } from "../../network/network.ts";
import type { FirewallPolicy } from "../../network/firewall-policy.ts";
import type { Packet } from "../../network/packet-match.ts";
import { type Ruleset, walkChain } from "../../network/packet-walk.ts";
import { portElements, PROTOCOL_NUMBER } from "../../network/port-elements.ts";
import {
  type PortTrace,
  type TracedWalk,
  type TraceFacts,
  tracePort,
} from "../../network/port-trace.ts";
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
    firewall: {
      policy: firewall.inForce,
      table: firewall.table,
      lack: owner ? lackOf(context, owner) : "",
    },
    forwards: readSetting(forwarding) === "1",
    walks: walks(asked, { target, version, policy: firewall.inForce }),
  });
}

/** What the kernel lacks of the tables, and of the elements that lead this port. */
function lackOf({ networks }: EngineContext, { attachment, published }: Owner): string {
  const endpoint = attachment.endpoints.find(({ isDefault }) => isDefault);
  return endpoint ? networks.firewall.lack([portElements(endpoint, [published])]) : "";
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

interface Way {
  readonly target: TraceFacts["target"];
  readonly version: 4 | 6;
  readonly policy: FirewallPolicy;
}

/** Where other tables' chains see packets of a connection, in order, and as what. */
function stations(
  { port, protocol: name }: Asked,
  { target, version, policy }: Way,
): { hook: string; packets: TracedWalk["packets"]; isWanted?: IsWanted; packet: Packet }[] {
  const protocol = PROTOCOL_NUMBER[name];
  const asked: Packet = { version, protocol, port, isLed: false };
  const first = { packets: "first", packet: asked } as const;
  const isInput = !target || policy === "none";
  if (isInput) return ["prerouting", "input"].map((hook) => ({ hook, ...first }));
  const led: Packet = {
    version,
    protocol,
    port: target.containerPort,
    address: addressBytes(parseAddress(target.address)),
    isLed: true,
  };
  const before: IsWanted = (priority) => priority <= DSTNAT;
  const after: IsWanted = (priority) => priority > DSTNAT;
  const beyond = { ...led, outInterface: target.bridge };
  if (policy === "docker") {
    return [
      { hook: "prerouting", ...first, isWanted: before },
      { hook: "prerouting", packets: "first", isWanted: after, packet: led },
      { hook: "forward", packets: "first", packet: beyond },
    ];
  }
  const own = { outInterface: "lo" };
  return [
    { hook: "prerouting", ...first },
    { hook: "input", ...first },
    { hook: "output", packets: "first", isWanted: before, packet: { ...asked, ...own } },
    { hook: "output", packets: "first", isWanted: after, packet: { ...led, ...own } },
    { hook: "forward", packets: "following", packet: { ...beyond, isEstablished: true } },
  ];
}

type IsWanted = (priority: number) => boolean;

/** The chains of others that packets come by. Engines' tables let what is not theirs pass. */
function walks(asked: Asked, way: Way): TracedWalk[] {
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    const chains = listChains(socket);
    const elements = rememberElements(socket);
    const others = chains.filter(
      ({ family, table }) =>
        family !== (way.version === 4 ? "ip6" : "ip") && !/^tiffin(-[0-9a-f]{8})?$/.test(table),
    );
    return stations(asked, way).flatMap(({ hook, packets, isWanted, packet }) =>
      others
        .filter(({ base }) => base?.hook === hook && (isWanted?.(base.priority) ?? true))
        .toSorted((one, other) => (one.base?.priority ?? 0) - (other.base?.priority ?? 0))
        .map((chain) => ({ ...walkChain(chain, { chains, elements }, packet), packets })),
    );
  } catch (error) {
    // Without the right, or without nf_tables, there is nothing to be seen.
    if (way.policy === "none") return [];
    throw error;
  } finally {
    socket.close();
  }
}

function rememberElements(socket: NetlinkSocket): Ruleset["elements"] {
  const known = new Map<string, ReturnType<typeof listElements>>();
  return ({ family, table, set }) => {
    if (family !== "inet" && family !== "ip" && family !== "ip6") return undefined;
    const name = [family, table, set].join(" ");
    if (!known.has(name)) known.set(name, listElements(socket, { family, table, set }));
    return known.get(name);
  };
}
