import { TiffinError } from "../base/error.ts";
import { errnoName } from "../base/errno.ts";

/**
 * The bytes of netlink messages (netlink(7), rtnetlink(7)): a message is a header, a fixed part of its family, and
 * attributes; attributes may hold attributes. All numbers in the host's order, which is little-endian here.
 */

export const NETLINK_ROUTE = 0;

export const NLM_F = {
  REQUEST: 1,
  MULTI: 2,
  ACK: 4,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const;

export const NLMSG = { ERROR: 2, DONE: 3 } as const;

export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  SETLINK: 19,
  NEWADDR: 20,
  GETADDR: 22,
  NEWROUTE: 24,
  GETROUTE: 26,
} as const;

export const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  LINKINFO: 18,
  NET_NS_PID: 19,
} as const;

export const IFF_UP = 1;

/** Attribute types with this bit hold attributes. */
const NESTED = 0x8000;
const TYPE_MASK = 0x3fff;
const HEADER_SIZE = 16;

/** An attribute: its type and its value; text gets a NUL, a number is 32 bits, a list is nested, `body` precedes one. */
export type Attribute = readonly [
  type: number,
  value:
    | number
    | string
    | Uint8Array
    | readonly Attribute[]
    | { readonly body: Uint8Array; readonly attributes: readonly Attribute[] },
];

export interface NetlinkMessage {
  readonly type: number;
  /** NLM_F_*; REQUEST is always set. */
  readonly flags: number;
  /** The family's fixed part: struct ifinfomsg, ifaddrmsg, rtmsg. */
  readonly body: Uint8Array;
  readonly attributes: readonly Attribute[];
}

/** One message or several after each other, numbered from `sequence` up: bytes for one send. */
export function encodeMessages(messages: readonly NetlinkMessage[], sequence = 1): Uint8Array {
  const lengths = messages.map(
    ({ body, attributes }) => HEADER_SIZE + aligned(body.length) + attributesLength(attributes),
  );
  // Measured first and written in place: a batch may hold thousands of attributes.
  const bytes = Buffer.alloc(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const [index, message] of messages.entries()) {
    const length = lengths[index] ?? 0;
    bytes.writeUInt32LE(length, at);
    bytes.writeUInt16LE(message.type, at + 4);
    bytes.writeUInt16LE(message.flags | NLM_F.REQUEST, at + 6);
    bytes.writeUInt32LE(sequence + index, at + 8);
    bytes.set(message.body, at + HEADER_SIZE);
    writeAttributes(bytes, at + HEADER_SIZE + aligned(message.body.length), message.attributes);
    at += length;
  }
  return bytes;
}

/** Everything in netlink starts at a multiple of 4. */
function aligned(length: number): number {
  return (length + 3) & ~3;
}

const ATTRIBUTE_HEADER_SIZE = 4;

function attributesLength(attributes: readonly Attribute[]): number {
  let length = 0;
  for (const [, value] of attributes) length += aligned(ATTRIBUTE_HEADER_SIZE + valueLength(value));
  return length;
}

function valueLength(value: Attribute[1]): number {
  if (typeof value === "number") return 4;
  if (typeof value === "string") return Buffer.byteLength(value) + 1;
  if (value instanceof Uint8Array) return value.length;
  if ("body" in value) return value.body.length + attributesLength(value.attributes);
  return attributesLength(value);
}

/** @returns where they end */
function writeAttributes(bytes: Buffer, start: number, attributes: readonly Attribute[]): number {
  let at = start;
  for (const [type, value] of attributes) {
    const isNested = typeof value === "object" && !(value instanceof Uint8Array);
    const end = writeValue(bytes, at + ATTRIBUTE_HEADER_SIZE, value);
    bytes.writeUInt16LE(end - at, at);
    bytes.writeUInt16LE(isNested ? type | NESTED : type, at + 2);
    at = aligned(end);
  }
  return at;
}

/** @returns where it ends */
function writeValue(bytes: Buffer, at: number, value: Attribute[1]): number {
  if (typeof value === "number") return bytes.writeUInt32LE(value >>> 0, at);
  // The NUL after it is there.
  if (typeof value === "string") return at + bytes.write(value, at) + 1;
  if (value instanceof Uint8Array) {
    bytes.set(value, at);
    return at + value.length;
  }
  if ("body" in value) {
    bytes.set(value.body, at);
    return writeAttributes(bytes, at + value.body.length, value.attributes);
  }
  return writeAttributes(bytes, at, value);
}

export interface ReceivedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of an ERROR message: 0 (acknowledged) or the negative errno. */
  readonly error: number;
  /** All after the header. */
  readonly payload: Uint8Array;
}

/** Messages of one receive. @throws data-loss when the bytes end within a message */
export function decodeMessages(bytes: Uint8Array): ReceivedMessage[] {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const messages: ReceivedMessage[] = [];
  for (let at = 0; at + HEADER_SIZE <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < HEADER_SIZE || at + length > buffer.length) throw cut(length, buffer.length - at);
    const type = buffer.readUInt16LE(at + 4);
    const payload = buffer.subarray(at + HEADER_SIZE, at + length);
    messages.push({
      type,
      flags: buffer.readUInt16LE(at + 6),
      sequence: buffer.readUInt32LE(at + 8),
      error: type === NLMSG.ERROR && payload.length >= 4 ? payload.readInt32LE(0) : 0,
      payload,
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

/** The attributes after a fixed part of `skip` bytes, by type (without the nesting bit). */
export function decodeAttributes(payload: Uint8Array, skip: number): Map<number, Uint8Array> {
  const buffer = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
  const attributes = new Map<number, Uint8Array>();
  for (let at = (skip + 3) & ~3; at + 4 <= buffer.length; ) {
    const length = buffer.readUInt16LE(at);
    if (length < 4 || at + length > buffer.length) throw cut(length, buffer.length - at);
    attributes.set(buffer.readUInt16LE(at + 2) & TYPE_MASK, buffer.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

function cut(wanted: number, there: number): TiffinError {
  return new TiffinError(
    "data-loss",
    `Cannot read a netlink message: it wants ${wanted} bytes and ${there} are left`,
  );
}

/** @throws internal when one of the messages refuses the request */
export function checkAcknowledged(messages: readonly ReceivedMessage[], doing: string): void {
  const refused = messages.find((message) => message.error < 0);
  if (refused) {
    throw new TiffinError("internal", `Cannot ${doing}: netlink: ${errnoName(refused.error)}`, {
      details: { errno: errnoName(refused.error) },
    });
  }
}

/** struct ifinfomsg; `change`: which of the flags to set. */
export function linkBody(link: { index: number; flags?: number; change?: number }): Uint8Array {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(link.index, 4);
  bytes.writeUInt32LE(link.flags ?? 0, 8);
  bytes.writeUInt32LE(link.change ?? 0, 12);
  return bytes;
}

/** struct ifaddrmsg. */
export function addressBody(address: {
  family: number;
  prefixLength: number;
  index: number;
  flags?: number;
}): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes[0] = address.family;
  bytes[1] = address.prefixLength;
  bytes[2] = address.flags ?? 0;
  bytes.writeUInt32LE(address.index, 4);
  return bytes;
}
