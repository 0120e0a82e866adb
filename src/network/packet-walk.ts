import {
  type ListedChain,
  type ListedExpression,
  type ListedRule,
  verdictOf,
} from "../kernel/nft-listing.ts";
import type { Element } from "../kernel/nftables.ts";
import { matches, type Packet, type Registers, type Truth } from "./packet-match.ts";

/** What a base chain does with a packet. */
export interface Walk {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  readonly hook: string;
  readonly outcome: "passes" | "drops" | "may drop";
  /** Which rule, or the policy: `rule 7 of chain x`, `policy drop`; "" when it passes as no rule decides. */
  readonly by: string;
}

/** All that the kernel has, as far as it concerns a packet. */
export interface Ruleset {
  readonly chains: readonly ListedChain[];
  /** What is in a set; undefined: that cannot be told. */
  readonly elements: (set: {
    readonly family: string;
    readonly table: string;
    readonly set: string;
  }) => readonly Element[] | undefined;
}

/** Takes a packet through one base chain, and the chains of its table that it leads to. What cannot be told counts as maybe. */
export function walkChain(base: ListedChain, ruleset: Ruleset, packet: Packet): Walk {
  const { family, table, name: chain } = base;
  const around = ruleset.chains.filter((one) => one.family === family && one.table === table);
  const trip: Trip = {
    around,
    ruleset,
    packet,
    seen: new Set(),
    drop: "",
    pass: "",
    mayPass: false,
  };
  const end = walk(trip, base, "yes");
  const place = { family, table, chain, hook: base.base?.hook ?? "" };
  if (end === "drops") return { ...place, outcome: "drops", by: trip.drop };
  if (end === "goes on" && base.base?.dropsByPolicy === true) {
    return { ...place, outcome: trip.mayPass ? "may drop" : "drops", by: "policy drop" };
  }
  if (trip.drop !== "") return { ...place, outcome: "may drop", by: trip.drop };
  return { ...place, outcome: "passes", by: end === "passes" ? trip.pass : "" };
}

interface Trip {
  readonly around: readonly ListedChain[];
  readonly ruleset: Ruleset;
  readonly packet: Packet;
  /** Chains that were gone through: what a second time would tell is known. */
  readonly seen: Set<string>;
  /** The rule that drops it, or may. */
  drop: string;
  /** The rule that lets it pass for certain. */
  pass: string;
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
    const { truth, verdict } = judge(rule, chain, trip);
    if (truth === "no" || verdict === undefined) continue;
    const isCertain = truth === "yes" && certainty === "yes";
    const name = `rule ${rule.handle} of chain ${chain.name}`;
    if (verdict.word === "any") {
      trip.mayPass = true;
      if (trip.drop === "") trip.drop = name;
    } else if (verdict.word === "drop") {
      const drops = isCertain && !trip.mayPass;
      if (drops || trip.drop === "") trip.drop = name;
      if (isCertain) return drops ? "drops" : "passes";
    } else if (verdict.word === "accept") {
      if (isCertain) {
        trip.pass = name;
        return "passes";
      }
      trip.mayPass = true;
    } else if (verdict.word === "return") {
      if (truth === "yes") return "goes on";
      certainty = "maybe";
    } else {
      const next = trip.around.find((one) => one.name === verdict.chain);
      const end = next ? walk(trip, next, isCertain ? "yes" : "maybe") : "goes on";
      if (end !== "goes on") return end;
      if (verdict.word === "goto" && truth === "yes") return "goes on";
    }
  }
  return "goes on";
}

/** Of a map of verdicts: any of them, or none. */
type Verdict = NonNullable<ReturnType<typeof verdictOf>> | { readonly word: "any" };

/** Whether a rule's conditions hold, and what it decides then. */
function judge(
  rule: ListedRule,
  { family, table }: ListedChain,
  { packet, ruleset }: Trip,
): { truth: Truth; verdict: Verdict | undefined } {
  const registers: Registers = new Map();
  let truth: Truth = "yes";
  for (const expression of rule.expressions) {
    const verdict = isVerdictMap(expression) ? { word: "any" as const } : verdictOf(expression);
    if (verdict) return { truth, verdict };
    const result = matches(expression, packet, registers, (set) =>
      ruleset.elements({ family, table, set }),
    );
    if (result === "no") return { truth: "no", verdict: undefined };
    if (result === "maybe") truth = "maybe";
  }
  return { truth, verdict: undefined };
}

/** A lookup whose value goes to the register of verdicts, which has number 0. */
function isVerdictMap({ name, attributes }: ListedExpression): boolean {
  return name === "lookup" && attributes.get(3)?.every((byte) => byte === 0) === true;
}
