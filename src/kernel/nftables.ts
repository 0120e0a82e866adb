import { type Attribute, type NetlinkMessage, NLM_F } from "./netlink.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import { errnoOf } from "./syscall.ts";
import { be32, type Expression } from "./nft-expression.ts";

/**
 * Messages of nf_tables (linux/netfilter/nf_tables.h): a table with sets, maps and chains. A batch holds as a whole or not at
 * all, and packets see either the state before or the one after it.
 */

export const NETLINK_NETFILTER = 12;
const NFPROTO = { inet: 1, ip: 2, ip6: 10 } as const;
const SUBSYSTEM = 10;
const BATCH = { BEGIN: 0x10, END: 0x11 };
const MESSAGE = {
  NEWTABLE: 0,
  GETTABLE: 1,
  DELTABLE: 2,
  NEWCHAIN: 3,
  NEWRULE: 6,
  NEWSET: 9,
  NEWSETELEM: 12,
  DELSETELEM: 14,
} as const;
const SET_FLAG = { INTERVAL: 0x4, MAP: 0x8, CONCAT: 0x80 };
const LIST_ELEMENT = 1;
const DATA_VALUE = 1;
/** The attribute that holds a message's elements has 16 bits for its length. */
const ELEMENTS_A_MESSAGE = 400;

/** One change of a batch, before the table's name is put to it. */
export type Change = (table: string) => NetlinkMessage;

function change(type: number, attributes: readonly Attribute[], flags = 0): Change {
  // All of nf_tables' messages name the table in attribute 1.
  return (table) => message(type, [[1, table], ...attributes], flags);
}

function message(type: number, attributes: readonly Attribute[], flags: number): NetlinkMessage {
  return {
    type: (SUBSYSTEM << 8) | type,
    flags,
    body: Uint8Array.from([NFPROTO.inet, 0, 0, 0]),
    attributes,
  };
}

/** The same changes to the table of that name in another family: inet has not all expressions. */
export function inFamily(family: keyof typeof NFPROTO, changes: readonly Change[]): Change[] {
  const body = Uint8Array.from([NFPROTO[family], 0, 0, 0]);
  return changes.map((make) => (table) => ({ ...make(table), body }));
}

/** Makes the table, or leaves the one that is there. */
export const newTable: Change = change(MESSAGE.NEWTABLE, [[2, be32(0)]], NLM_F.CREATE);
/** With all that is in it. The table must be there: precede it with {@link newTable}. */
export const deleteTable: Change = change(MESSAGE.DELTABLE, []);

/** Types as nft(8) numbers them: only for what it shows. The length is the kernel's: in bytes, before padding. */
export const FIELD = {
  ipv4: { type: 7, length: 4 },
  ipv6: { type: 8, length: 16 },
  protocol: { type: 12, length: 1 },
  port: { type: 13, length: 2 },
  interface: { type: 41, length: 16 },
} as const;

export type Field = (typeof FIELD)[keyof typeof FIELD];

export interface SetDefinition {
  readonly name: string;
  /** One field or several, one after the other, each padded to 4 bytes. */
  readonly key: readonly Field[];
  /** Keys are ranges, from one key to another. */
  readonly ranges: boolean;
  /** A map's value. */
  readonly value?: readonly Field[];
}

function padded(length: number): number {
  return (length + 3) & ~3;
}

/** nft's number of a concatenated type. */
function typeNumber(fields: readonly Field[]): number {
  return fields.reduce((type, field) => (type << 6) | field.type, 0);
}

/** A single field's key has its own length, those of several are padded. */
function keyLength(fields: readonly Field[]): number {
  const [first] = fields;
  if (fields.length === 1 && first) return first.length;
  return fields.reduce((sum, { length }) => sum + padded(length), 0);
}

/** Tells nft(8) alone that the key is text, not a number in network order (libnftnl, NFTNL_UDATA_SET_KEYBYTEORDER). */
const HOST_ORDER: Attribute = [13, Uint8Array.of(0, 4, 1, 0, 0, 0)];

/** @param id any number that no other set of the batch has */
export function newSet(set: SetDefinition, id: number): Change {
  const [first] = set.key;
  const isConcatenated = set.key.length > 1;
  const flags =
    (set.ranges ? SET_FLAG.INTERVAL : 0) |
    (set.value ? SET_FLAG.MAP : 0) |
    (isConcatenated ? SET_FLAG.CONCAT : 0);
  const lengths = set.key.map(({ length }): Attribute => [LIST_ELEMENT, [[1, be32(length)]]]);
  return change(
    MESSAGE.NEWSET,
    [
      [2, set.name],
      [3, be32(flags)],
      [4, be32(typeNumber(set.key))],
      [5, be32(keyLength(set.key))],
      ...(set.value
        ? ([
            [6, be32(typeNumber(set.value))],
            [7, be32(keyLength(set.value))],
          ] satisfies Attribute[])
        : []),
      ...(isConcatenated ? [[9, [[2, lengths]]] satisfies Attribute] : []),
      [10, be32(id)],
      ...(first === FIELD.interface && !isConcatenated ? [HOST_ORDER] : []),
    ],
    NLM_F.CREATE,
  );
}

export interface Element {
  readonly key: Uint8Array;
  /** The last key of a range. */
  readonly keyEnd?: Uint8Array;
  /** As the kernel lists ranges of one field: no key, but the first one behind a range. */
  readonly isEnd?: true;
  readonly value?: Uint8Array;
}

/** The fields of a key or a value, each padded to 4 bytes. */
export function concatenate(...fields: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, { length }) => sum + padded(length), 0));
  let at = 0;
  for (const field of fields) {
    bytes.set(field, at);
    at += padded(field.length);
  }
  return bytes;
}

function elementList(elements: readonly Element[], withValues: boolean): Attribute {
  return [
    3,
    elements.map((element): Attribute => {
      const { key, keyEnd, value } = element;
      const attributes: Attribute[] = [[1, [[DATA_VALUE, key]]]];
      if (keyEnd) attributes.push([10, [[DATA_VALUE, keyEnd]]]);
      if (value && withValues) attributes.push([2, [[DATA_VALUE, value]]]);
      return [LIST_ELEMENT, attributes];
    }),
  ];
}

function chunks(elements: readonly Element[]): (readonly Element[])[] {
  const all: (readonly Element[])[] = [];
  for (let at = 0; at < elements.length; at += ELEMENTS_A_MESSAGE) {
    all.push(elements.slice(at, at + ELEMENTS_A_MESSAGE));
  }
  return all;
}

/** What is there already is fine, unless it is another value's. */
export function addElements(set: string, elements: readonly Element[]): Change[] {
  return chunks(elements).map((chunk) =>
    change(MESSAGE.NEWSETELEM, [[2, set], elementList(chunk, true)], NLM_F.CREATE),
  );
}

export function deleteElements(set: string, elements: readonly Element[]): Change[] {
  return chunks(elements).map((chunk) =>
    change(MESSAGE.DELSETELEM, [[2, set], elementList(chunk, false)]),
  );
}

const HOOK = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface BaseChain {
  readonly name: string;
  readonly type: "filter" | "nat";
  readonly hook: keyof typeof HOOK;
  readonly priority: number;
  readonly rules: readonly (readonly Expression[])[];
}

/** A chain that the kernel runs packets through, with its rules; what none of them decides goes on. */
export function newBaseChain(chain: BaseChain): Change[] {
  return [
    change(
      MESSAGE.NEWCHAIN,
      [
        [3, chain.name],
        [
          4,
          [
            [1, be32(HOOK[chain.hook])],
            [2, be32(chain.priority)],
          ],
        ],
        [7, chain.type],
      ],
      NLM_F.CREATE,
    ),
    ...chain.rules.map((rule) =>
      change(
        MESSAGE.NEWRULE,
        [
          [2, chain.name],
          [4, rule],
        ],
        NLM_F.CREATE | NLM_F.APPEND,
      ),
    ),
  ];
}

/** Sends changes as one batch. @throws the first refusal, with nothing changed */
export function applyChanges(
  socket: NetlinkSocket,
  table: string,
  changes: readonly Change[],
  doing: string,
): void {
  const mark = (type: number): NetlinkMessage => ({
    type,
    flags: 0,
    body: Uint8Array.from([0, 0, 0, SUBSYSTEM]),
    attributes: [],
  });
  const messages = changes.map((make) => make(table));
  socket.change([mark(BATCH.BEGIN), ...messages, mark(BATCH.END)], doing);
}

/** Whether there is a table of the name. @throws permission-denied, internal */
export function hasTable(socket: NetlinkSocket, table: string): boolean {
  try {
    socket.ask(message(MESSAGE.GETTABLE, [[1, table]], 0), `find the table ${table}`);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
