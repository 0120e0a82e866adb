import { decodeAttributes } from "../kernel/netlink.ts";
import {
  type ListedChain,
  type ListedExpression,
  type ListedRule,
  number,
  verdictOf,
} from "../kernel/nft-listing.ts";

/** What is known of the first packet of a connection where a chain sees it. */
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
}

/** What a base chain does with a packet. */
export interface Walk {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly hook: string;
  readonly outcome: "passes" | "drops" | "may drop";
  /** Which rule, or the policy: `rule 7 of chain x`, `policy drop`; "" when it passes. */
  readonly by: string;
}

type Truth = "yes" | "no" | "maybe";

/** Takes a packet through one base chain, and the chains of its table that it leads to. What cannot be told counts as maybe. */
export function walkChain(base: ListedChain, chains: readonly ListedChain[], packet: Packet): Walk {
  const { family, table, name: chain } = base;
  const around = chains.filter((one) => one.family === family && one.table === table);
  const trip: Trip = { around, packet, seen: new Set(), drop: "", mayPass: false };
  const end = walk(trip, base, "yes");
  const place = { family, table, chain, hook: base.base?.hook ?? "" };
  if (end === "drops") return { ...place, outcome: "drops", by: trip.drop };
  if (end === "goes on" && base.base?.dropsByPolicy === true) {
    return { ...place, outcome: trip.mayPass ? "may drop" : "drops", by: "policy drop" };
  }
  if (trip.drop !== "") return { ...place, outcome: "may drop", by: trip.drop };
  return { ...place, outcome: "passes", by: "" };
}

interface Trip {
  readonly around: readonly ListedChain[];
  readonly packet: Packet;
  /** Chains that were gone through: what a second time would tell is known. */
  readonly seen: Set<string>;
  /** The rule that drops it, or may. */
  drop: string;
  mayPass: boolean;
}

type End = "drops" | "passes" | "goes on";

/** @param reached whether the packet comes to this chain */
function walk(trip: Trip, chain: ListedChain, reached: Truth): End {
  const key = `${chain.name} ${reached}`;
  if (trip.seen.has(key)) return "goes on";
  trip.seen.add(key);
  let certainty = reached;
  for (const rule of chain.rules) {
    const { truth, verdict } = judge(rule, trip.packet);
    if (truth === "no" || verdict === undefined) continue;
    const isCertain = truth === "yes" && certainty === "yes";
    if (verdict.word === "drop") {
      const drops = isCertain && !trip.mayPass;
      if (drops || trip.drop === "") trip.drop = `rule ${rule.handle} of chain ${chain.name}`;
      if (isCertain) return drops ? "drops" : "passes";
    } else if (verdict.word === "accept") {
      if (isCertain) return "passes";
      trip.mayPass = true;
    } else if (verdict.word === "return") {
      if (truth === "yes") return "goes on";
      certainty = "maybe";
    } else {
      const next = trip.around.find(({ name }) => name === verdict.chain);
      const end = next ? walk(trip, next, isCertain ? "yes" : "maybe") : "goes on";
      if (end !== "goes on") return end;
      if (verdict.word === "goto" && truth === "yes") return "goes on";
    }
  }
  return "goes on";
}

/** Whether a rule's conditions hold, and what it decides then. */
function judge(
  rule: ListedRule,
  packet: Packet,
): { truth: Truth; verdict: ReturnType<typeof verdictOf> } {
  const registers = new Map<number, Uint8Array | undefined>();
  let truth: Truth = "yes";
  for (const expression of rule.expressions) {
    const verdict = verdictOf(expression);
    if (verdict) return { truth, verdict };
    const result = step(expression, packet, registers);
    if (result === "no") return { truth: "no", verdict: undefined };
    if (result === "maybe") truth = "maybe";
  }
  return { truth, verdict: undefined };
}

function step(
  { name, attributes }: ListedExpression,
  packet: Packet,
  registers: Map<number, Uint8Array | undefined>,
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
  return name === "counter" || name === "log" ? "yes" : "maybe";
}

function metaValue(key: number, packet: Packet): Uint8Array | undefined {
  if (key === 15) return Uint8Array.of(packet.version === 4 ? 2 : 10);
  if (key === 16) return Uint8Array.of(packet.protocol);
  if (key !== 7 || packet.outInterface === undefined) return undefined;
  const bytes = Buffer.alloc(16);
  bytes.write(packet.outInterface);
  return bytes;
}

function payloadValue(field: string, packet: Packet): Uint8Array | undefined {
  if (field === "2 2 2") return Uint8Array.of(packet.port >> 8, packet.port & 255);
  if (field === "1 9 1" && packet.version === 4) return Uint8Array.of(packet.protocol);
  return field === (packet.version === 4 ? "1 16 4" : "1 24 16") ? packet.address : undefined;
}

/** A connection that begins is new. Of its status only the one bit is certain, and only that is given. */
function connectionValue(key: number, packet: Packet): Uint8Array | undefined {
  if (key === 0) return Uint8Array.of(8, 0, 0, 0);
  return key === 2 ? Uint8Array.of(packet.isLed ? DNAT : 0, 0, 0, 0) : undefined;
}

const DNAT = 0x20;

function mask(
  attributes: ReadonlyMap<number, Uint8Array>,
  registers: Map<number, Uint8Array | undefined>,
): Truth {
  const value = registers.get(number(attributes.get(1)));
  const bits = dataOf(attributes.get(4));
  const flip = dataOf(attributes.get(5));
  const isPlain = value && bits?.length === value.length && flip?.length === value.length;
  registers.set(
    number(attributes.get(2)),
    isPlain ? value.map((byte, at) => (byte & (bits[at] ?? 0)) ^ (flip[at] ?? 0)) : undefined,
  );
  return "yes";
}

function compared(
  attributes: ReadonlyMap<number, Uint8Array>,
  registers: ReadonlyMap<number, Uint8Array | undefined>,
): Truth {
  const value = registers.get(number(attributes.get(1)));
  const wanted = dataOf(attributes.get(3));
  const operation = number(attributes.get(2));
  if (!value || !wanted || operation > 1) return "maybe";
  const isSame = Buffer.from(value.subarray(0, wanted.length)).equals(wanted);
  return isSame === (operation === 0) ? "yes" : "no";
}

function dataOf(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes && decodeAttributes(bytes, 0).get(1);
}
