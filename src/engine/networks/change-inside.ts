import { TiffinError } from "../../base/error.ts";
import { netlinkSocketInNamespaceOf } from "../../kernel/namespace-socket.ts";
import { NETLINK_ROUTE, type NetlinkMessage } from "../../kernel/netlink.ts";
import { NetlinkSocket } from "../../kernel/netlink-socket.ts";
import type { EngineContext } from "../context.ts";

/** Changes interfaces, addresses and routes in the network namespace of a container that runs. */
export function changeInside(
  context: EngineContext,
  id: string,
  messages: readonly NetlinkMessage[],
): void {
  const process = context.processes.get(id);
  if (!process) throw new TiffinError("conflict", `Container ${id} is not running`);
  const socket = new NetlinkSocket(netlinkSocketInNamespaceOf(process.descriptor(), NETLINK_ROUTE));
  try {
    socket.change(messages, "change the container's interfaces");
  } finally {
    socket.close();
  }
}
