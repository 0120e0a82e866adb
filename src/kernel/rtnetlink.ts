import { AF } from "./namespace-socket.ts";
import {
  type Attribute,
  addressBody,
  decodeAttributes,
  IFF_UP,
  IFLA,
  linkBody,
  type NetlinkMessage,
  NLM_F,
  type ReceivedMessage,
  RTM,
} from "./netlink.ts";

/** Messages of rtnetlink(7): interfaces, addresses, routes. All are data; NetlinkSocket or a launch program sends them. */

const IFLA_INFO = { KIND: 1, DATA: 2 };
const IFLA_INFO_SLAVE = { KIND: 4, DATA: 5 };
const IFLA_BRPORT = { MODE: 4, ISOLATED: 33 };
const VETH_INFO_PEER = 1;
const IFLA_MACVLAN_MODE = 1;
const MACVLAN_MODES: Readonly<Record<string, number>> = {
  private: 1,
  vepa: 2,
  bridge: 4,
  passthru: 8,
};
const IFA = { ADDRESS: 1, LOCAL: 2, BROADCAST: 4 };
/** No duplicate address detection: the address can be used at once. */
const IFA_F_NODAD = 0x02;
const RTA = { DST: 1, OIF: 4, GATEWAY: 5, TABLE: 15 };
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;
const MAKE = NLM_F.CREATE | NLM_F.EXCL;

/** An address as the kernel takes it: 4 or 16 bytes in network order. */
export type AddressBytes = Uint8Array;

function family(address: AddressBytes): number {
  return address.length === 4 ? AF.INET : AF.INET6;
}

/** A bridge, up. `mac` keeps it from taking over that of its lowest port. */
export function newBridge(bridge: { name: string; mac: Uint8Array; mtu: number }): NetlinkMessage {
  return {
    type: RTM.NEWLINK,
    flags: MAKE,
    body: linkBody({ index: 0, flags: IFF_UP, change: IFF_UP }),
    attributes: [
      [IFLA.IFNAME, bridge.name],
      [IFLA.ADDRESS, bridge.mac],
      ...mtuAttribute(bridge.mtu),
      [IFLA.LINKINFO, [[IFLA_INFO.KIND, "bridge"]]],
    ],
  };
}

/** 0: the kernel's. */
function mtuAttribute(mtu: number): Attribute[] {
  return mtu === 0 ? [] : [[IFLA.MTU, mtu]];
}

export interface VethPair {
  readonly name: string;
  /** Not in use; a peer's index can only be chosen together with this one. */
  readonly index: number;
  /** Index of the bridge. */
  readonly master: number;
  readonly mtu: number;
  readonly peer: {
    readonly name: string;
    readonly index: number;
    readonly mac: Uint8Array;
    /** A process in the peer's network namespace. */
    readonly pid: number;
  };
}

/**
 * A pair whose peer is made in place, in another network namespace: moving it there would wait for the kernel's grace
 * periods. The host's end is up and on its bridge. The peer's `pid` is the message's last 4 bytes.
 */
export function newVeth(pair: VethPair): NetlinkMessage {
  const { peer } = pair;
  return {
    type: RTM.NEWLINK,
    flags: MAKE,
    body: linkBody({ index: pair.index, flags: IFF_UP, change: IFF_UP }),
    attributes: [
      [IFLA.IFNAME, pair.name],
      [IFLA.MASTER, pair.master],
      ...mtuAttribute(pair.mtu),
      [
        IFLA.LINKINFO,
        [
          [IFLA_INFO.KIND, "veth"],
          [
            IFLA_INFO.DATA,
            [
              [
                VETH_INFO_PEER,
                {
                  body: linkBody({ index: peer.index }),
                  attributes: [
                    [IFLA.IFNAME, peer.name],
                    [IFLA.ADDRESS, peer.mac],
                    ...mtuAttribute(pair.mtu),
                    [IFLA.NET_NS_PID, peer.pid],
                  ],
                },
              ],
            ],
          ],
        ],
      ],
    ],
  };
}

/**
 * How a bridge treats one of its ports. `hairpin`: what came from it may go back to it; `isolated`: it reaches no other port
 * that is isolated too.
 */
export function setBridgePort(
  index: number,
  port: { hairpin: boolean; isolated: boolean },
): NetlinkMessage {
  const flag = (isOn: boolean): Uint8Array => Uint8Array.of(isOn ? 1 : 0);
  return {
    type: RTM.NEWLINK,
    flags: 0,
    body: linkBody({ index }),
    attributes: [
      [
        IFLA.LINKINFO,
        [
          [IFLA_INFO_SLAVE.KIND, "bridge"],
          [
            IFLA_INFO_SLAVE.DATA,
            [
              [IFLA_BRPORT.MODE, flag(port.hairpin)],
              [IFLA_BRPORT.ISOLATED, flag(port.isolated)],
            ],
          ],
        ],
      ],
    ],
  };
}

/** An interface, up, that leads packets back to where they were redirected to it from (ip-link(8), "ifb"). */
export function newIfb(link: { name: string; index: number; mtu: number }): NetlinkMessage {
  return {
    type: RTM.NEWLINK,
    flags: MAKE,
    body: linkBody({ index: link.index, flags: IFF_UP, change: IFF_UP }),
    attributes: [
      [IFLA.IFNAME, link.name],
      ...mtuAttribute(link.mtu),
      [IFLA.LINKINFO, [[IFLA_INFO.KIND, "ifb"]]],
    ],
  };
}

export interface Macvlan {
  readonly name: string;
  readonly index: number;
  /** Index of the interface that it is on. */
  readonly parent: number;
  readonly mode: string;
  readonly mac: Uint8Array;
  readonly mtu: number;
  /** A process in its network namespace. */
  readonly pid: number;
}

export function isMacvlanMode(mode: string): boolean {
  return Object.hasOwn(MACVLAN_MODES, mode);
}

/** An interface with an address of its own on the parent's wire, made in place. `pid` is the message's last 4 bytes. */
export function newMacvlan(link: Macvlan): NetlinkMessage {
  const mode: Attribute = [IFLA_MACVLAN_MODE, MACVLAN_MODES[link.mode] ?? 4];
  return {
    type: RTM.NEWLINK,
    flags: MAKE,
    body: linkBody({ index: link.index }),
    attributes: [
      [IFLA.IFNAME, link.name],
      [IFLA.ADDRESS, link.mac],
      [IFLA.LINK, link.parent],
      ...mtuAttribute(link.mtu),
      [
        IFLA.LINKINFO,
        [
          [IFLA_INFO.KIND, "macvlan"],
          [IFLA_INFO.DATA, [mode]],
        ],
      ],
      [IFLA.NET_NS_PID, link.pid],
    ],
  };
}

export function linkUp(index: number): NetlinkMessage {
  return {
    type: RTM.NEWLINK,
    flags: 0,
    body: linkBody({ index, flags: IFF_UP, change: IFF_UP }),
    attributes: [],
  };
}

export function deleteLink(index: number): NetlinkMessage {
  return { type: RTM.DELLINK, flags: 0, body: linkBody({ index }), attributes: [] };
}

export function newAddress(
  index: number,
  address: AddressBytes,
  prefixLength: number,
): NetlinkMessage {
  const isV4 = address.length === 4;
  return {
    type: RTM.NEWADDR,
    flags: MAKE,
    body: addressBody({
      family: family(address),
      prefixLength,
      index,
      flags: isV4 ? 0 : IFA_F_NODAD,
    }),
    attributes: [
      [IFA.LOCAL, address],
      [IFA.ADDRESS, address],
      ...(isV4 ? [[IFA.BROADCAST, broadcast(address, prefixLength)] satisfies Attribute] : []),
    ],
  };
}

function broadcast(address: AddressBytes, prefixLength: number): Uint8Array {
  return address.map((byte, index) => {
    const hostBits = Math.min(8, Math.max(0, (index + 1) * 8 - prefixLength));
    return byte | ((1 << hostBits) - 1);
  });
}

/** The route to everywhere else. */
export function newDefaultRoute(index: number, gateway: AddressBytes): NetlinkMessage {
  return {
    type: RTM.NEWROUTE,
    flags: MAKE,
    body: routeBody(family(gateway)),
    attributes: [
      [RTA.GATEWAY, gateway],
      [RTA.OIF, index],
    ],
  };
}

/** struct rtmsg of a route without a destination. */
function routeBody(addressFamily: number): Uint8Array {
  return Uint8Array.from([
    addressFamily,
    0,
    0,
    0,
    RT_TABLE_MAIN,
    RTPROT_STATIC,
    0,
    RTN_UNICAST,
    0,
    0,
    0,
    0,
  ]);
}

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** Index of the bridge that it is a port of; 0: none. */
  readonly master: number;
  /** bridge, veth, macvlan …; "" for hardware. */
  readonly kind: string;
}

export function getLink(name: string): NetlinkMessage {
  return {
    type: RTM.GETLINK,
    flags: 0,
    body: linkBody({ index: 0 }),
    attributes: [[IFLA.IFNAME, name]],
  };
}

export function getLinks(): NetlinkMessage {
  return { type: RTM.GETLINK, flags: 0, body: linkBody({ index: 0 }), attributes: [] };
}

const LINK_BODY_SIZE = 16;

export function decodeLink({ payload }: ReceivedMessage): Link {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  const attributes = decodeAttributes(payload, LINK_BODY_SIZE);
  const info = decodeAttributes(attributes.get(IFLA.LINKINFO) ?? new Uint8Array(), 0);
  return {
    index: view.getInt32(4, true),
    name: text(attributes.get(IFLA.IFNAME)),
    isUp: (view.getUint32(8, true) & IFF_UP) !== 0,
    master: number(attributes.get(IFLA.MASTER)),
    kind: text(info.get(IFLA_INFO.KIND)),
  };
}

export interface Route {
  /** undefined: everywhere. */
  readonly destination: AddressBytes | undefined;
  readonly prefixLength: number;
  /** Index of the interface; 0: several, or none. */
  readonly interfaceIndex: number;
  readonly table: number;
}

export function getRoutes(addressFamily: number): NetlinkMessage {
  return { type: RTM.GETROUTE, flags: 0, body: routeBody(addressFamily), attributes: [] };
}

const ROUTE_BODY_SIZE = 12;

export function decodeRoute({ payload }: ReceivedMessage): Route {
  const attributes = decodeAttributes(payload, ROUTE_BODY_SIZE);
  const table = attributes.get(RTA.TABLE);
  return {
    destination: attributes.get(RTA.DST),
    prefixLength: payload[1] ?? 0,
    interfaceIndex: number(attributes.get(RTA.OIF)),
    table: table === undefined ? (payload[4] ?? 0) : number(table),
  };
}

function text(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? "" : Buffer.from(bytes).toString().replace(/\0.*$/s, "");
}

function number(bytes: Uint8Array | undefined): number {
  return bytes === undefined || bytes.length < 4
    ? 0
    : new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
