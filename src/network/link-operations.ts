import { call, type Field, type Operation, register } from "../base/operation.ts";
import { O } from "../kernel/flags.ts";
import { encodeMessages, NETLINK_ROUTE, type NetlinkMessage } from "../kernel/netlink.ts";
import { kernelAddress } from "../kernel/netlink-socket.ts";
import {
  linkUp,
  newAddress,
  newDefaultRoute,
  newMacvlan,
  newVeth,
  setBridgePort,
} from "../kernel/rtnetlink.ts";
import { hostRateMessages, insideRateMessages } from "./link-rate.ts";
import type { Endpoint, LinkRate } from "./network.ts";
import { addressBytes, parseAddress } from "./subnet.ts";

const AF_NETLINK = 16;
const SOCK_RAW_CLOEXEC = 3 | O.CLOEXEC;
const MSG_DONTWAIT = 0x40;
const LOOPBACK_INDEX = 1;

/** An endpoint and what its interface is made on. */
export interface PlannedLink {
  readonly endpoint: Endpoint;
  /** Index of the bridge, or of the parent of a macvlan. */
  readonly on: number;
  /** undefined: a veth pair with a bridge. */
  readonly macvlanMode?: string;
  /** 0: the kernel's. */
  readonly mtu: number;
  /** Its way to a port that it publishes itself leads back to it through the bridge. */
  readonly hairpin?: boolean;
  /** It reaches no other container of the network. */
  readonly isolated?: boolean;
  readonly rate?: LinkRate;
  /** It is there, with its addresses: made before anyone asked for the container (engine/networks/ready-link.ts). */
  readonly isMade?: boolean;
}

export function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":").map((byte) => Number.parseInt(byte, 16)));
}

/**
 * Makes an endpoint's interface inside of a process' network namespace, and the host's end on its bridge. The first message ends
 * with the pid.
 */
export function linkMessages(link: PlannedLink, pid: number): NetlinkMessage[] {
  const { endpoint, hairpin = false, isolated = false } = link;
  return [
    linkMessage(link, pid),
    ...(hairpin || isolated ? [setBridgePort(endpoint.hostIndex, { hairpin, isolated })] : []),
    ...hostRateMessages(link),
  ];
}

function linkMessage(link: PlannedLink, pid: number): NetlinkMessage {
  const { endpoint, on, mtu } = link;
  const inside = {
    name: endpoint.interfaceName,
    index: endpoint.interfaceIndex,
    mac: macBytes(endpoint.mac),
    pid,
  };
  if (link.macvlanMode !== undefined) {
    return newMacvlan({ ...inside, parent: on, mode: link.macvlanMode, mtu });
  }
  return newVeth({
    name: endpoint.hostInterface,
    index: endpoint.hostIndex,
    master: on,
    mtu,
    peer: inside,
  });
}

/** What is to be set inside of the namespace once the interface is there: addresses, then routes, and how fast it may send. */
export function interfaceMessages(link: PlannedLink): NetlinkMessage[] {
  const { endpoint } = link;
  const { interfaceIndex: index, ipv4, ipv6, gateway4, gateway6, isDefault } = endpoint;
  const bytes = (text: string): Uint8Array => addressBytes(parseAddress(text));
  return [
    linkUp(index),
    ...(ipv4 === "" ? [] : [newAddress(index, bytes(ipv4), endpoint.ipv4PrefixLength)]),
    ...(ipv6 === "" ? [] : [newAddress(index, bytes(ipv6), endpoint.ipv6PrefixLength)]),
    ...(isDefault
      ? [gateway4, gateway6]
          .filter((gateway) => gateway !== "")
          .map((gateway) => newDefaultRoute(index, bytes(gateway)))
      : []),
    ...insideRateMessages(link),
  ];
}

function planSocket(result: string): Operation {
  return call("socket", [AF_NETLINK, SOCK_RAW_CLOEXEC, NETLINK_ROUTE], "open a netlink socket", {
    result,
  });
}

/**
 * The kernel handles messages within sendto, and answers with those that it refuses: the load of an answer's error field
 * fails with that error, as any system call would.
 */
function planAnswer(options: {
  readonly socket: string;
  readonly reason: string;
  readonly hints?: Operation["hints"];
}): Operation[] {
  const { socket, reason, hints = {} } = options;
  const answer = { scratch: `answer of ${socket}`, size: 512 };
  const ERROR_OFFSET = 16;
  return [
    call(
      "recvfrom",
      [register(socket), answer, answer.size, MSG_DONTWAIT, null, null],
      "hear whether the kernel refuses it",
      { okErrors: ["EAGAIN"] },
    ),
    {
      control: "load",
      from: answer,
      offset: ERROR_OFFSET,
      result: `${socket}.error`,
      reason,
      hints,
    },
  ];
}

/** What is still to be done about interfaces that were made ahead. Supervisor side. */
export function planMadeLinks(links: readonly PlannedLink[]): Operation[] {
  const messages = links
    .filter(({ hairpin }) => hairpin === true)
    .map(({ endpoint, isolated = false }) =>
      setBridgePort(endpoint.hostIndex, { hairpin: true, isolated }),
    );
  if (messages.length === 0) return [];
  const bytes = encodeMessages(messages);
  const reason = "lead the container's way to its own ports back to it";
  return [
    planSocket("links"),
    call("sendto", [register("links"), bytes, bytes.length, 0, kernelAddress(), 12], reason),
    ...planAnswer({ socket: "links", reason, hints: {} }),
  ];
}

/** Supervisor side, once register `pid` is the container's first process: its interfaces, straight into its namespace. */
export function planLinks(links: readonly PlannedLink[]): Operation[] {
  if (links.length === 0) return [];
  return [
    planSocket("links"),
    ...links.flatMap((link) => {
      const { endpoint } = link;
      const messages = linkMessages(link, 0);
      const bytes = Buffer.from(encodeMessages(messages));
      const pidAt = encodeMessages(messages.slice(0, 1)).length / 4 - 1;
      const reason = `connect ${endpoint.interfaceName} to its network`;
      // The process is only known when it is there.
      const words = Array.from(
        { length: bytes.length / 4 },
        (_, index): Field => [4, index === pidAt ? register("pid") : bytes.readUInt32LE(index * 4)],
      );
      return [
        call(
          "sendto",
          [register("links"), { struct: words }, bytes.length, 0, kernelAddress(), 12],
          reason,
        ),
        ...planAnswer({
          socket: "links",
          reason,
          hints: {
            ENODEV: "The network's bridge is gone: try again, the engine makes it anew",
            EPERM: "The engine lacks CAP_NET_ADMIN: run it as root, or use --network none",
            EOPNOTSUPP:
              "The kernel lacks this kind of interface (veth, macvlan; ifb for --net-rate)",
            ENOENT:
              "The kernel lacks what --net-rate needs (sch_tbf, sch_ingress, cls_u32, act_mirred)",
            EBUSY: "The parent interface is in use in another way",
          },
        }),
      ];
    }),
  ];
}

/** Container side, after {@link planLinks}: the loopback and its interfaces, addresses, routes and rates, in one send. */
export function planInterfaces(links: readonly PlannedLink[]): Operation[] {
  const messages = encodeMessages([linkUp(LOOPBACK_INDEX), ...links.flatMap(interfaceMessages)]);
  const reason = "bring up the interfaces with their addresses and routes";
  return [
    planSocket("netlink"),
    call(
      "sendto",
      [register("netlink"), messages, messages.length, 0, kernelAddress(), 12],
      reason,
    ),
    ...planAnswer({
      socket: "netlink",
      reason,
      hints: { ENOENT: "The kernel lacks what --net-rate needs (sch_tbf)" },
    }),
  ];
}
