import { AF } from "./namespace-socket.ts";
import type { NetlinkMessage } from "./netlink.ts";
import { NetlinkSocket } from "./netlink-socket.ts";

/** Which ports this network namespace's sockets have (sock_diag(7)). */

const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const REQUEST_SIZE = 56;
/** State numbers of include/net/tcp_states.h. */
const STATE = { ESTABLISHED: 1, CLOSE: 7, LISTEN: 10 };
const TCP = 6;

/**
 * struct inet_diag_req_v2: of TCP the sockets that wait for whoever comes, of others all (they are few). Asked for any other state of
 * TCP the kernel would walk through the table of all connections.
 */
function request(family: number, protocol: number): NetlinkMessage {
  const states = protocol === TCP ? [STATE.LISTEN] : [STATE.ESTABLISHED, STATE.CLOSE];
  const body = Buffer.alloc(REQUEST_SIZE);
  body[0] = family;
  body[1] = protocol;
  body.writeUInt32LE(
    states.reduce((mask, state) => mask | (1 << state), 0),
    4,
  );
  return { type: SOCK_DIAG_BY_FAMILY, flags: 0, body, attributes: [] };
}

const PORT_OFFSET = 4;

/**
 * Ports of this namespace that sockets of a protocol listen at, at whichever address.
 * @throws when the kernel has no such list (a module that is not there)
 */
export function listeningPorts(protocol: number): Set<number> {
  const socket = NetlinkSocket.open(NETLINK_SOCK_DIAG);
  try {
    const listed = [AF.INET, AF.INET6].flatMap((family) =>
      socket.dump(request(family, protocol), "list sockets"),
    );
    return new Set(listed.map(({ payload }) => Buffer.from(payload).readUInt16BE(PORT_OFFSET)));
  } finally {
    socket.close();
  }
}
