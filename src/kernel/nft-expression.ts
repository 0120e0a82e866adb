import type { Attribute } from "./netlink.ts";

/**
 * Expressions of nf_tables rules (linux/netfilter/nf_tables.h): a rule is a list of them, and goes on to the next as long as
 * each holds. Numbers are in network order. Registers are 4 bytes wide; a value takes as many as it needs.
 */

export type Expression = Attribute;

/** The first register; {@link reg} counts from it. */
const NFT_REG32_00 = 8;
const NFT_REG_VERDICT = 0;
const LIST_ELEMENT = 1;
const EXPRESSION = { NAME: 1, DATA: 2 };
const DATA = { VALUE: 1, VERDICT: 2 };

/** Number of a register: 0 is the first 4 bytes, 1 the next. */
export function reg(word: number): number {
  return NFT_REG32_00 + word;
}

export function be32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
}

function expression(name: string, attributes: readonly Attribute[]): Expression {
  return [
    LIST_ELEMENT,
    [
      [EXPRESSION.NAME, name],
      [EXPRESSION.DATA, attributes],
    ],
  ];
}

const META = { nfproto: 15, l4proto: 16, iifname: 6, oifname: 7 } as const;

/** Loads what is known of a packet; a name takes 4 registers. */
export function meta(key: keyof typeof META, word = 0): Expression {
  return expression("meta", [
    [2, be32(META[key])],
    [1, be32(reg(word))],
  ]);
}

const BASE = { network: 1, transport: 2 } as const;

export function payload(
  base: keyof typeof BASE,
  field: { offset: number; length: number; word?: number },
): Expression {
  return expression("payload", [
    [1, be32(reg(field.word ?? 0))],
    [2, be32(BASE[base])],
    [3, be32(field.offset)],
    [4, be32(field.length)],
  ]);
}

const CT = { state: 0, status: 2, zone: 17 } as const;
export const CT_STATE = { established: 2, related: 4, untracked: 64 } as const;
/** A connection whose destination was changed: one to a published port. */
export const CT_STATUS_DNAT = 0x20;

/** Holds when the connection has one of the bits. */
export function ctHas(key: keyof typeof CT, bits: number): Expression[] {
  const mask = Buffer.alloc(4);
  mask.writeUInt32LE(bits);
  return [
    expression("ct", [
      [2, be32(CT[key])],
      [1, be32(reg(0))],
    ]),
    expression("bitwise", [
      [1, be32(reg(0))],
      [2, be32(reg(0))],
      [3, be32(4)],
      [4, [[DATA.VALUE, mask]]],
      [5, [[DATA.VALUE, Buffer.alloc(4)]]],
    ]),
    compare("differs", Buffer.alloc(4)),
  ];
}

/** Lets the kernel track a packet that it was told not to: as one of the zone that all connections are in. */
export function trackAgain(): Expression[] {
  return [
    constant(Buffer.alloc(2)),
    expression("ct", [
      [2, be32(CT.zone)],
      [4, be32(reg(0))],
    ]),
  ];
}

/** Sends a copy out by an interface, to an address there. Of families ip and ip6, not inet. */
export function duplicate(address: Uint8Array, interfaceIndex: number): Expression[] {
  const index = Buffer.alloc(4);
  index.writeUInt32LE(interfaceIndex);
  const word = address.length / 4;
  return [
    constant(address),
    constant(index, word),
    expression("dup", [
      [1, be32(reg(0))],
      [2, be32(reg(word))],
    ]),
  ];
}

const COMPARE = { is: 0, differs: 1 } as const;

export function compare(how: keyof typeof COMPARE, value: Uint8Array, word = 0): Expression {
  return expression("cmp", [
    [1, be32(reg(word))],
    [2, be32(COMPARE[how])],
    [3, [[DATA.VALUE, value]]],
  ]);
}

/** Loads a value that is always the same. */
export function constant(value: Uint8Array, word = 0): Expression {
  return expression("immediate", [
    [1, be32(reg(word))],
    [2, [[DATA.VALUE, value]]],
  ]);
}

const FIB = { RESULT_ADDRTYPE: 3, SADDR: 1, DADDR: 2, LOCAL: 2 };

function addressType(of: number, how: keyof typeof COMPARE): Expression[] {
  const local = Buffer.alloc(4);
  local.writeUInt32LE(FIB.LOCAL);
  return [
    expression("fib", [
      [1, be32(reg(0))],
      [2, be32(FIB.RESULT_ADDRTYPE)],
      [3, be32(of)],
    ]),
    compare(how, local),
  ];
}

/** Holds when the packet is for an address of the host's. */
export function toThisHost(): Expression[] {
  return addressType(FIB.DADDR, "is");
}

/** Holds when the packet's source is no address of the host's. */
export function notFromThisHost(): Expression[] {
  return addressType(FIB.SADDR, "differs");
}

/** Holds when the set has the key that begins at register 0 (`not`: has not). */
export function inSet(set: string, options: { not?: boolean } = {}): Expression {
  return expression("lookup", [
    [1, set],
    [2, be32(reg(0))],
    ...(options.not === true ? [[5, be32(1)] satisfies Attribute] : []),
  ]);
}

/** Holds when the map has the key that begins at register 0; its value is then there. */
export function fromMap(map: string): Expression {
  return expression("lookup", [
    [1, map],
    [2, be32(reg(0))],
    [3, be32(reg(0))],
  ]);
}

const NAT_DESTINATION = 1;

/** Changes the destination to the address that begins at register 0, and the port behind it. */
export function destination(family: number, portWord: number | undefined): Expression {
  return expression("nat", [
    [1, be32(NAT_DESTINATION)],
    [2, be32(family)],
    [3, be32(reg(0))],
    ...(portWord === undefined ? [] : [[5, be32(reg(portWord))] satisfies Attribute]),
  ]);
}

/** Gives the connection the address of the interface that it leaves by. */
export function masquerade(): Expression {
  return expression("masq", []);
}

const VERDICT = { drop: 0, accept: 1, return: -5 } as const;

export function verdict(word: keyof typeof VERDICT): Expression {
  return expression("immediate", [
    [1, be32(NFT_REG_VERDICT)],
    [2, [[DATA.VERDICT, [[1, be32(VERDICT[word])]]]]],
  ]);
}
