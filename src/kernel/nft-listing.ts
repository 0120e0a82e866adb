import { decodeAttributes, type NetlinkMessage } from "./netlink.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";

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

/** All chains of the families that routed packets go through, with their rules. @throws permission-denied, internal */
export function listChains(socket: NetlinkSocket): ListedChain[] {
  const rules = new Map<string, ListedRule[]>();
  for (const { payload } of socket.dump(question(GET_RULE), "list the firewall's rules")) {
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
    if (family === undefined) return [];
    const base = readBase(attributes);
    const own = rules.get([payload[0], table, name].join(" ")) ?? [];
    return [{ family, table, name, ...(base ? { base } : {}), rules: own }];
  });
}

function question(type: number): NetlinkMessage {
  return {
    type: (SUBSYSTEM << 8) | type,
    flags: 0,
    body: Uint8Array.from([0, 0, 0, 0]),
    attributes: [],
  };
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
