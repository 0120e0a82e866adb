import { readdirSync } from "node:fs";
import { NetlinkSocket } from "../../src/kernel/netlink-socket.ts";
import { hasTable, NETLINK_NETFILTER } from "../../src/kernel/nftables.ts";

/** The default bridge and the firewall's table of an engine that has ended, in words. */
export function networkLeftovers(engineId: string): string[] {
  const name = `tiffin-${engineId.slice(0, 8)}`;
  const links = readdirSync("/sys/class/net").filter((link) => link === name);
  const socket = NetlinkSocket.open(NETLINK_NETFILTER);
  try {
    const tables = hasTable(socket, name) ? [name] : [];
    return [
      ...links.map((link) => `interface ${link}`),
      ...tables.map((table) => `firewall table ${table}`),
    ];
  } finally {
    socket.close();
  }
}
