import { decodeAttributes } from "../kernel/netlink.ts";
import type { ListedExpression } from "../kernel/nft-listing.ts";
import { number } from "../kernel/nft-listing.ts";
import type { Element } from "../kernel/nftables.ts";

/** What is known of a packet where a chain sees it. */
export interface Packet {
  /** 4: IPv4, 6: IPv6. */
  readonly version: 4 | 6;
  /** IP's number: 6 is TCP. */
  readonly protocol: number;
  readonly port: number;
  /** Its destination's bytes, where that is certain. */
  readonly address?: Uint8Array;
  readonly outInterface?: string;
  /** Its destination was changed: it is for a published port. */
  readonly isLed: boolean;
  /** It belongs to a connection that both sides have sent something of; else it is the first one. */
  readonly isEstablished?: boolean;
}

export type Truth = "yes" | "no" | "maybe";

/** What is in a set of the chain's table; undefined: that cannot be told. */
export type SetLookup = (set: string) => readonly Element[] | undefined;

/** A value that is only known not to be the loopback's: the interface that a packet from elsewhere comes in by. */
const NOT_LOOPBACK = "not the loopback";
type Value = Uint8Array | typeof NOT_LOOPBACK | undefined;
export type Registers = Map<number, Value>;

/** Whether a condition holds; what it loads is kept in the registers. */
export function matches(
  { name, attributes }: ListedExpression,
  packet: Packet,
  registers: Registers,
  setOf: SetLookup,
): Truth {
  if (name === "meta" && attributes.has(1)) {
    registers.set(number(attributes.get(1)), metaValue(number(attributes.get(2)), packet));
    return "yes";
  }
  if (name === "payload" && attributes.has(1)) {
    const [base, offset, length] = [2, 3, 4].map((type) => number(attributes.get(type)));
    registers.set(
      number(attributes.get(1)),
      payloadValue([base, offset, length].join(" "), packet),
    );
    return "yes";
  }
  if (name === "ct" && attributes.has(1)) {
    registers.set(number(attributes.get(1)), connectionValue(number(attributes.get(2)), packet));
    return "yes";
  }
  if (name === "bitwise") return mask(attributes, registers);
  if (name === "cmp") return compared(attributes, registers);
  if (name === "range") return inRange(attributes, registers);
  if (name === "lookup" && !attributes.has(3)) return lookedUp(attributes, registers, setOf);
  return name === "counter" || name === "log" ? "yes" : "maybe";
}

const META = { NFPROTO: 15, L4PROTO: 16, IIF: 4, IIFNAME: 6, OIFNAME: 7 };

function metaValue(key: number, packet: Packet): Value {
  if (key === META.NFPROTO) return Uint8Array.of(packet.version === 4 ? 2 : 10);
  if (key === META.L4PROTO) return Uint8Array.of(packet.protocol);
  if (key === META.IIF || key === META.IIFNAME) return NOT_LOOPBACK;
  if (key !== META.OIFNAME || packet.outInterface === undefined) return undefined;
  const bytes = Buffer.alloc(16);
  bytes.write(packet.outInterface);
  return bytes;
}

function payloadValue(field: string, packet: Packet): Value {
  if (field === "2 2 2") return Uint8Array.of(packet.port >> 8, packet.port & 255);
  if (field === "1 9 1" && packet.version === 4) return Uint8Array.of(packet.protocol);
  return field === (packet.version === 4 ? "1 16 4" : "1 24 16") ? packet.address : undefined;
}

const STATE = { established: 2, new: 8 };
const DNAT = 0x20;

/** Of its status only the one bit is certain, and only that is given. */
function connectionValue(key: number, packet: Packet): Value {
  const state = packet.isEstablished === true ? STATE.established : STATE.new;
  if (key === 0) return Uint8Array.of(state, 0, 0, 0);
  return key === 2 ? Uint8Array.of(packet.isLed ? DNAT : 0, 0, 0, 0) : undefined;
}

function mask(attributes: ReadonlyMap<number, Uint8Array>, registers: Registers): Truth {
  const value = registers.get(number(attributes.get(1)));
  const bits = dataOf(attributes.get(4));
  const flip = dataOf(attributes.get(5));
  const isPlain =
    value instanceof Uint8Array && bits?.length === value.length && flip?.length === value.length;
  registers.set(
    number(attributes.get(2)),
    isPlain ? value.map((byte, at) => (byte & (bits[at] ?? 0)) ^ (flip[at] ?? 0)) : undefined,
  );
  return "yes";
}

function compared(attributes: ReadonlyMap<number, Uint8Array>, registers: Registers): Truth {
  const value = registers.get(number(attributes.get(1)));
  const wanted = dataOf(attributes.get(3));
  const operation = number(attributes.get(2));
  if (value === undefined || !wanted) return "maybe";
  if (value === NOT_LOOPBACK) {
    if (!isLoopback(wanted) || operation > 1) return "maybe";
    return yesOrNo(operation === 1);
  }
  const order = Buffer.compare(value.subarray(0, wanted.length), wanted);
  const holds = [order === 0, order !== 0, order < 0, order <= 0, order > 0, order >= 0][operation];
  return holds === undefined ? "maybe" : yesOrNo(holds);
}

/** From one value to another, both included. */
function inRange(attributes: ReadonlyMap<number, Uint8Array>, registers: Registers): Truth {
  const value = registers.get(number(attributes.get(1)));
  const [from, to] = [dataOf(attributes.get(3)), dataOf(attributes.get(4))];
  if (!(value instanceof Uint8Array) || !from || !to) return "maybe";
  const isWithin = Buffer.compare(value, from) >= 0 && Buffer.compare(value, to) <= 0;
  return yesOrNo(isWithin === (number(attributes.get(2)) === 0));
}

function yesOrNo(holds: boolean): Truth {
  return holds ? "yes" : "no";
}

/** By name, or by the index that it has everywhere. */
function isLoopback(wanted: Uint8Array): boolean {
  const text = Buffer.from(wanted).toString("latin1");
  return /^lo\0*$/.test(text) || text === "\u0001\0\0\0";
}

/** Keys of one field; others would be in several registers. */
function lookedUp(
  attributes: ReadonlyMap<number, Uint8Array>,
  registers: Registers,
  setOf: SetLookup,
): Truth {
  const value = registers.get(number(attributes.get(2)));
  const elements = setOf(
    Buffer.from(attributes.get(1) ?? [])
      .toString()
      .replace(/\0+$/, ""),
  );
  const isOther = elements?.some(
    ({ key }) => value instanceof Uint8Array && key.length !== value.length,
  );
  if (!(value instanceof Uint8Array) || !elements || isOther === true) return "maybe";
  const isIn = contains(elements, value);
  const isInverted = (number(attributes.get(5)) & 1) === 1;
  return yesOrNo(isIn !== isInverted);
}

/** In a set of ranges each range is told as two elements: its first key, and the first key after it. */
function contains(elements: readonly Element[], value: Uint8Array): boolean {
  if (!elements.some(({ isEnd }) => isEnd === true)) {
    return elements.some(({ key }) => Buffer.compare(key, value) === 0);
  }
  const below = elements
    .filter(({ key }) => Buffer.compare(key, value) <= 0)
    .toSorted((one, other) => Buffer.compare(one.key, other.key) || endFirst(one, other));
  return below.at(-1)?.isEnd === undefined && below.length > 0;
}

function endFirst(one: Element, other: Element): number {
  return Number(other.isEnd === true) - Number(one.isEnd === true);
}

function dataOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && decodeAttributes(bytes, 0).get(1);
}
