import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { TiffinError } from "../base/error.ts";
import { AF } from "../kernel/namespace-socket.ts";
import { NETLINK_ROUTE, type NetlinkMessage } from "../kernel/netlink.ts";
import { NetlinkSocket } from "../kernel/netlink-socket.ts";
import {
  decodeLink,
  decodeRoute,
  deleteLink,
  getLink,
  getLinks,
  getRoutes,
  type Link,
  newAddress,
  newBridge,
} from "../kernel/rtnetlink.ts";
import { errnoOf } from "../kernel/syscall.ts";
import {
  addressBytes,
  addressOf,
  parseAddress,
  parseSubnet,
  type Subnet,
  subnetAround,
} from "./subnet.ts";
import type { AddressPool } from "./network.ts";

/** The host's interfaces, addresses and routes, as far as the engine has to do with them. */
export class HostNetwork {
  private readonly socket: NetlinkSocket = NetlinkSocket.open(NETLINK_ROUTE);

  /** undefined: there is none of that name. */
  link(name: string): Link | undefined {
    try {
      return decodeLink(this.socket.ask(getLink(name), `find the interface ${name}`));
    } catch (error) {
      if (errnoOf(error) === "ENODEV") return undefined;
      throw error;
    }
  }

  links(): Link[] {
    return this.socket.dump(getLinks(), "list interfaces").map(decodeLink);
  }

  /** Where the host's packets go now, but for the default routes, and those of the interface given. */
  routes(options: { except?: number } = {}): Subnet[] {
    return [AF.INET, AF.INET6].flatMap((family) =>
      this.socket.dump(getRoutes(family), "list routes").flatMap((message) => {
        const { destination, prefixLength, interfaceIndex, table } = decodeRoute(message);
        const isOwn = interfaceIndex !== 0 && interfaceIndex === options.except;
        if (destination === undefined || prefixLength === 0 || isOwn) return [];
        // Link-local and multicast routes are everybody's; table 255 repeats the addresses.
        if (table === LOCAL_TABLE || isEverybodys(destination)) return [];
        return [subnetAround(addressOf(destination), prefixLength)];
      }),
    );
  }

  /** Makes a bridge with the networks' gateways as its addresses. @throws permission-denied, conflict; nothing stays then */
  makeBridge(bridge: {
    name: string;
    mac: Uint8Array;
    mtu: number;
    pools: readonly AddressPool[];
  }): Link {
    const { name, pools } = bridge;
    try {
      this.socket.change([newBridge(bridge)], `make the bridge ${name}`);
    } catch (error) {
      throw errnoOf(error) === "EPERM" || errnoOf(error) === "EACCES" ? notAllowed(name) : error;
    }
    const link = this.link(name);
    if (!link) throw new TiffinError("internal", `The bridge ${name} went as it was made`);
    try {
      const addresses = pools
        .filter(({ gateway }) => gateway !== "")
        .map(({ subnet, gateway }) =>
          newAddress(
            link.index,
            addressBytes(parseAddress(gateway)),
            parseSubnet(subnet).prefixLength,
          ),
        );
      if (addresses.length > 0) {
        this.socket.change(addresses, `give the bridge ${name} its addresses`);
      }
      // A container must not tell the host where to send its packets (CVE-2020-13401).
      setting(`ipv6/conf/${name}/accept_ra`, "0");
    } catch (error) {
      this.deleteLink(link.index);
      throw error;
    }
    return link;
  }

  /**
   * Whether the host's own way to a published port may begin at 127.0.0.1. Only with a firewall that keeps containers from that
   * address (CVE-2020-8558).
   */
  routeLoopback(bridge: string, isAllowed: boolean): void {
    setting(`ipv4/conf/${bridge}/route_localnet`, isAllowed ? "1" : "0");
  }

  /** @throws the kernel's refusal of one of them: `Cannot DOING: netlink: EEXIST` */
  change(messages: readonly NetlinkMessage[], doing: string): void {
    this.socket.change(messages, doing);
  }

  /** Takes some 20 ms, in which the kernel lets go of it; with a bridge its addresses and routes go. Gone already is fine. */
  deleteLink(index: number): void {
    try {
      this.socket.change([deleteLink(index)], `remove interface ${index}`);
    } catch (error) {
      if (errnoOf(error) !== "ENODEV") throw error;
    }
  }

  close(): void {
    this.socket.close();
  }
}

const LOCAL_TABLE = 255;

function isEverybodys(destination: Uint8Array): boolean {
  const [first = 0, second = 0] = destination;
  if (destination.length === 4) return first >= 224 || (first === 169 && second === 254);
  return first === 255 || (first === 0xfe && (second & 0xc0) === 0x80);
}

function notAllowed(name: string): TiffinError {
  return new TiffinError(
    "permission-denied",
    `Cannot make the bridge ${name}: the engine lacks CAP_NET_ADMIN`,
    { hint: "Run the engine as root, or containers with --network none or host" },
  );
}

const SETTINGS = "/proc/sys/net";

/** undefined: the kernel has no such setting. */
export function readSetting(name: string): string | undefined {
  try {
    return readFileSync(`${SETTINGS}/${name}`, "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Writes a setting unless it has the value, or the kernel lacks it. */
function setting(name: string, value: string): void {
  const before = readSetting(name);
  if (before !== undefined && before !== value) writeFileSync(`${SETTINGS}/${name}`, value);
}

/** Whether the host speaks IPv6. */
export function hasIpv6(): boolean {
  return readSetting("ipv6/conf/all/disable_ipv6") === "0";
}

/**
 * Lets the host pass packets on between networks. With IPv6 a host that does so would no longer heed its routers'
 * advertisements: interfaces that did go on doing it (accept_ra=2).
 */
export function allowForwarding(families: { ipv6: boolean }): void {
  setting("ipv4/ip_forward", "1");
  if (!families.ipv6 || readSetting("ipv6/conf/all/forwarding") !== "0") return;
  for (const name of readdirSync(`${SETTINGS}/ipv6/conf`)) {
    if (name === "all") continue;
    if (readSetting(`ipv6/conf/${name}/accept_ra`) === "1") {
      setting(`ipv6/conf/${name}/accept_ra`, "2");
    }
  }
  setting("ipv6/conf/all/forwarding", "1");
}
