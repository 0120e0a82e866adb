import { ERRNO } from "../base/errno.ts";
import {
  AF,
  datagramSocketInNamespaceOf,
  netlinkSocketInNamespaceOf,
  socketInNamespaceOf,
} from "../kernel/namespace-socket.ts";
import { NetlinkSocket } from "../kernel/netlink-socket.ts";
import {
  compare,
  constant,
  destination,
  type Expression,
  meta,
  payload,
} from "../kernel/nft-expression.ts";
import {
  applyChanges,
  deleteTable,
  NETLINK_NETFILTER,
  newBaseChain,
  newTable,
} from "../kernel/nftables.ts";
import { closeFd } from "../kernel/process.ts";
import { errnoOf, syscallError, syscallRaw } from "../kernel/syscall.ts";

const DNS_PORT = 53;
/** Above the ports that the kernel gives out by itself; the next ones are for containers that have a server there. */
const FIRST_PORT = 61_053;
const PORTS_TRIED = 16;
const ADDRESS = Uint8Array.of(127, 0, 0, 11);
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const BACKLOG = 64;
const TABLE = "tiffin-dns";
const NFPROTO_IPV4 = 2;
const DSTNAT_PRIORITY = -100;

export interface NameSockets {
  readonly datagram: number;
  readonly stream: number;
}

/**
 * Sockets for a container's name server, made in its network namespace: at 127.0.0.11, on a port that is led to from port 53. So
 * the container's own servers may take port 53 of all addresses. Where the kernel has no nf_tables, they are on port 53 itself.
 * What an earlier engine made there is replaced.
 *
 * @param pidfd of a process in the namespace
 * @throws the failed call
 */
export function openNameSockets(pidfd: number): NameSockets {
  for (let port = FIRST_PORT; port < FIRST_PORT + PORTS_TRIED; port++) {
    const sockets = bindBoth(pidfd, port);
    if (!sockets) continue;
    if (leadTo(pidfd, port)) return sockets;
    closeFd(sockets.datagram);
    closeFd(sockets.stream);
    break;
  }
  const sockets = bindBoth(pidfd, DNS_PORT);
  if (sockets) return sockets;
  throw syscallError("bind", -ERRNO.EADDRINUSE, "listen at 127.0.0.11:53 of a container");
}

/** undefined: somebody has the port. */
function bindBoth(pidfd: number, port: number): NameSockets | undefined {
  const datagram = datagramSocketInNamespaceOf(pidfd, AF.INET);
  let stream = -1;
  try {
    stream = socketInNamespaceOf(pidfd, AF.INET);
    const one = Buffer.from([1, 0, 0, 0]);
    // Connections of an engine that is gone may still wait for their end there.
    syscallRaw("setsockopt", stream, SOL_SOCKET, SO_REUSEADDR, one, one.length);
    const address = Buffer.alloc(16);
    address.writeUInt16LE(AF.INET, 0);
    address.writeUInt16BE(port, 2);
    address.set(ADDRESS, 4);
    for (const [call, ...args] of [
      ["bind", datagram, address, address.length],
      ["bind", stream, address, address.length],
      ["listen", stream, BACKLOG],
    ] as const) {
      const result = syscallRaw(call, ...args);
      if (result < 0) throw syscallError(call, result);
    }
    return { datagram, stream };
  } catch (error) {
    closeFd(datagram);
    if (stream >= 0) closeFd(stream);
    if (errnoOf(error) === "EADDRINUSE") return undefined;
    throw error;
  }
}

/** Whether the kernel now leads what is sent to port 53 to another one. */
function leadTo(pidfd: number, port: number): boolean {
  const socket = new NetlinkSocket(netlinkSocketInNamespaceOf(pidfd, NETLINK_NETFILTER));
  try {
    const chain = newBaseChain({
      name: "output",
      type: "nat",
      hook: "output",
      priority: DSTNAT_PRIORITY,
      rules: [redirect(port)],
    });
    const changes = [newTable, deleteTable, newTable, ...chain];
    applyChanges(socket, TABLE, changes, "lead name queries to the engine");
    return true;
  } catch {
    // No nf_tables, or no NAT in it: port 53 it is.
    return false;
  } finally {
    socket.close();
  }
}

function redirect(port: number): Expression[] {
  const portBytes = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);
  return [
    meta("nfproto"),
    compare("is", Uint8Array.of(NFPROTO_IPV4)),
    payload("network", { offset: 16, length: 4 }),
    compare("is", ADDRESS),
    payload("transport", { offset: 2, length: 2 }),
    compare("is", portBytes(DNS_PORT)),
    constant(ADDRESS, 0),
    constant(portBytes(port), 1),
    destination(NFPROTO_IPV4, 1),
  ];
}
