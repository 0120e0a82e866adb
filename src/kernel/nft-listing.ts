import { type Attribute, decodeAttributes, type NetlinkMessage } from "./netlink.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import type { Element } from "./nftables.ts";
import { errnoOf } from "./syscall.ts";

/**
 * Reads what all tables of nf_tables do with packets (linux/netfilter/nf_tables.h), those of iptables-nft among them: chains, and of
 * their rules what can be told for one packet.
 */

const SUBSYSTEM = 10;
const GET_CHAIN = 4;
const GET_RULE = 7;
const VERDICT_BITS = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"] as const;
const FAMILIES: Readonly<Record<number, string>> = { 1: "inet", 2: "ip", 10: "ip6" };

export interface ListedExpression {
  /** `cmp`, `payload`, `immediate` and so on. */
  readonly name: string;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

export interface ListedRule {
  readonly handle: number;
  readonly expressions: readonly ListedExpression[];
}

export interface ListedChain {
  /** inet, ip or ip6; others do not see a routed packet. */
  readonly family: string;
  readonly table: string;
  readonly name: string;
  /** Of a base chain: where the kernel runs packets through it. */
  readonly base?: {
    readonly hook: (typeof HOOKS)[number];
    readonly priority: number;
    readonly dropsByPolicy: boolean;
  };
  readonly rules: readonly ListedRule[];
}

/**
 * All chains of the families that routed packets go through, with their rules.
 * @param only of one table's name alone
 * @throws permission-denied, internal
 */
export function listChains(socket: NetlinkSocket, only?: string): ListedChain[] {
  const rules = new Map<string, ListedRule[]>();
  for (const { payload } of questionsForRules(only).flatMap((ask) =>
    socket.dump(ask, "list the firewall's rules"),
  )) {
    const attributes = decodeAttributes(payload, 4);
    const key = [payload[0], text(attributes.get(1)), text(attributes.get(2))].join(" ");
    const handle = attributes.get(3);
    const rule: ListedRule = {
      handle: handle?.length === 8 ? Number(Buffer.from(handle).readBigUInt64BE()) : 0,
      expressions: nestedList(attributes.get(4)).map(readExpression),
    };
    const list = rules.get(key);
    if (list) list.push(rule);
    else rules.set(key, [rule]);
  }
  return socket.dump(question(GET_CHAIN), "list the firewall's chains").flatMap(({ payload }) => {
    const family = FAMILIES[payload[0] ?? 0];
    const attributes = decodeAttributes(payload, 4);
    const [table, name] = [text(attributes.get(1)), text(attributes.get(3))];
    if (family === undefined || (only !== undefined && table !== only)) return [];
    const base = readBase(attributes);
    const own = rules.get([payload[0], table, name].join(" ")) ?? [];
    return [{ family, table, name, ...(base ? { base } : {}), rules: own }];
  });
}

const GET_SET_ELEMENT = 13;
const ELEMENT = { KEY: 1, VALUE: 2, FLAGS: 3, KEY_END: 10 };
const FAMILY_NUMBER = { inet: 1, ip: 2, ip6: 10 } as const;

export interface ListedSet {
  readonly family: keyof typeof FAMILY_NUMBER;
  readonly table: string;
  readonly set: string;
}

/** The kernel answers with one table of a name: that of the first family, unless one is named. */
function questionsForRules(only: string | undefined): NetlinkMessage[] {
  if (only === undefined) return [question(GET_RULE)];
  return Object.values(FAMILY_NUMBER).map((family) => ({
    ...question(GET_RULE, [[1, only]]),
    body: Uint8Array.from([family, 0, 0, 0]),
  }));
}

/** What is in a set or a map. undefined: it is not there. */
export function listElements(
  socket: NetlinkSocket,
  { family, table, set }: ListedSet,
): Element[] | undefined {
  const attributes: Attribute[] = [
    [1, table],
    [2, set],
  ];
  const ask = {
    ...question(GET_SET_ELEMENT, attributes),
    body: Uint8Array.from([FAMILY_NUMBER[family], 0, 0, 0]),
  };
  try {
    return socket
      .dump(ask, `list the set ${set}`)
      .flatMap(({ payload }) => nestedList(decodeAttributes(payload, 4).get(3)).map(readElement));
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

function readElement(bytes: Uint8Array): Element {
  const attributes = decodeAttributes(bytes, 0);
  const data = (type: number): Uint8Array | undefined => {
    const nested = attributes.get(type);
    return nested && decodeAttributes(nested, 0).get(1);
  };
  const [keyEnd, value] = [data(ELEMENT.KEY_END), data(ELEMENT.VALUE)];
  return {
    key: data(ELEMENT.KEY) ?? new Uint8Array(),
    ...(keyEnd ? { keyEnd } : {}),
    ...(value ? { value } : {}),
    ...((number(attributes.get(ELEMENT.FLAGS)) & 1) === 1 ? { isEnd: true as const } : {}),
  };
}

function question(type: number, attributes: readonly Attribute[] = []): NetlinkMessage {
  const body = Uint8Array.from([0, 0, 0, 0]);
  return { type: (SUBSYSTEM << 8) | type, flags: 0, body, attributes };
}

function readBase(attributes: ReadonlyMap<number, Uint8Array>): ListedChain["base"] {
  const place = attributes.get(4);
  if (!place) return undefined;
  const hook = decodeAttributes(place, 0);
  const name = HOOKS[number(hook.get(1))];
  if (name === undefined) return undefined;
  const policy = attributes.get(5);
  return {
    hook: name,
    priority: number(hook.get(2)),
    dropsByPolicy: policy !== undefined && number(policy) === VERDICT_BITS.drop,
  };
}

function readExpression(bytes: Uint8Array): ListedExpression {
  const attributes = decodeAttributes(bytes, 0);
  return {
    name: text(attributes.get(1)),
    attributes: decodeAttributes(attributes.get(2) ?? new Uint8Array(), 0),
  };
}

/** Attributes that all have the same type. */
function nestedList(bytes: Uint8Array = new Uint8Array()): Uint8Array[] {
  const list: Uint8Array[] = [];
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = Math.max(4, (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0));
    list.push(bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return list;
}

function text(bytes: Uint8Array = new Uint8Array()): string {
  return Buffer.from(bytes).toString("utf8").replace(/\0+$/, "");
}

/** A number in network order. */
export function number(bytes: Uint8Array = new Uint8Array()): number {
  return bytes.length === 4 ? Buffer.from(bytes).readInt32BE() : 0;
}

/** What an `immediate` expression decides, and where it goes; undefined when it loads a value. */
export function verdictOf({
  name,
  attributes,
}: ListedExpression): { word: keyof typeof VERDICT_BITS; chain: string } | undefined {
  if (name === "reject") return { word: "drop", chain: "" };
  // One of iptables' targets that iptables-nft has not put into words of nf_tables.
  if (name === "target" && /^(?:DROP|REJECT)$/.test(text(attributes.get(1)))) {
    return { word: "drop", chain: "" };
  }
  if (name !== "immediate") return undefined;
  const verdict = decodeAttributes(attributes.get(2) ?? new Uint8Array(), 0).get(2);
  if (!verdict) return undefined;
  const fields = decodeAttributes(verdict, 0);
  const code = number(fields.get(1));
  const word = (Object.keys(VERDICT_BITS) as (keyof typeof VERDICT_BITS)[]).find(
    (one) => VERDICT_BITS[one] === code,
  );
  return word && { word, chain: text(fields.get(2)) };
}
