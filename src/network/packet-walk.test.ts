import { describe, expect, test } from "bun:test";
import type { ListedChain, ListedExpression, ListedRule } from "../kernel/nft-listing.ts";
import type { Element } from "../kernel/nftables.ts";
import type { Packet } from "./packet-match.ts";
import { walkChain } from "./packet-walk.ts";

const packet: Packet = { version: 4, protocol: 6, port: 80, isLed: true };

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc((4 + value.length + 3) & ~3);
  bytes.writeUInt16LE(4 + value.length, 0);
  bytes.writeUInt16LE(type, 2);
  bytes.set(value, 4);
  return bytes;
}

function be32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function expression(name: string, attributes: [number, Uint8Array][]): ListedExpression {
  return { name, attributes: new Map(attributes) };
}

function verdict(code: number, chain = ""): ListedExpression {
  const fields = Buffer.concat([
    attribute(1, be32(code)),
    ...(chain === "" ? [] : [attribute(2, Buffer.from(`${chain}\0`))]),
  ]);
  return expression("immediate", [
    [1, be32(0)],
    [2, attribute(2, fields)],
  ]);
}

const drop = verdict(0);
const accept = verdict(1);
const jump = verdict(-3, "other");
const unknown = expression("match", []);
const counter = expression("counter", []);

function port(number: number): ListedExpression[] {
  return [
    expression("payload", [
      [1, be32(1)],
      [2, be32(2)],
      [3, be32(2)],
      [4, be32(2)],
    ]),
    expression("cmp", [
      [1, be32(1)],
      [2, be32(0)],
      [3, attribute(1, Uint8Array.of(number >> 8, number & 255))],
    ]),
  ];
}

const key = (number: number, isEnd?: true): Element => ({
  key: Uint8Array.of(number >> 8, number & 255),
  ...(isEnd ? { isEnd } : {}),
});
const SETS: Readonly<Record<string, Element[]>> = {
  web: [key(443), key(80)],
  mail: [key(25)],
  high: [key(90, true), key(70), key(0, true)],
  low: [key(0, true), key(70, true), key(10)],
};

/** The port in a set; of a map: to a verdict. */
function inSet(name: string, more: [number, Uint8Array][] = []): ListedExpression[] {
  const [load] = port(0);
  return [
    ...(load ? [load] : []),
    expression("lookup", [[1, Buffer.from(`${name}\0`)], [2, be32(1)], ...more]),
  ];
}

/** The interface that it comes in by. */
function from(name: string): ListedExpression[] {
  return [
    expression("meta", [
      [1, be32(1)],
      [2, be32(6)],
    ]),
    expression("cmp", [
      [1, be32(1)],
      [2, be32(0)],
      [3, attribute(1, Buffer.from(`${name}\0`))],
    ]),
  ];
}

function state(bits: number): ListedExpression[] {
  return [
    expression("ct", [
      [1, be32(1)],
      [2, be32(0)],
    ]),
    expression("bitwise", [
      [1, be32(1)],
      [2, be32(1)],
      [4, attribute(1, Uint8Array.of(bits, 0, 0, 0))],
      [5, attribute(1, new Uint8Array(4))],
    ]),
    expression("cmp", [
      [1, be32(1)],
      [2, be32(1)],
      [3, attribute(1, new Uint8Array(4))],
    ]),
  ];
}

function rules(list: readonly ListedExpression[][]): ListedRule[] {
  return list.map((expressions, index) => ({ handle: index + 1, expressions }));
}

const DROPS = true;
const cases: [
  what: string,
  own: ListedExpression[][],
  other: ListedExpression[][],
  policy: boolean,
  outcome: string,
  by: string,
][] = [
  ["nothing", [], [], false, "passes", ""],
  ["a policy", [], [], DROPS, "drops", "policy drop"],
  ["a rule for all", [[counter, drop]], [], false, "drops", "rule 1 of chain own"],
  ["a rule for the port", [[...port(80), drop]], [], false, "drops", "rule 1 of chain own"],
  ["a rule for another port", [[...port(81), drop]], [], false, "passes", ""],
  ["a rule that cannot be told", [[unknown, drop]], [], false, "may drop", "rule 1 of chain own"],
  ["an exception to a policy", [[...port(80), accept]], [], DROPS, "passes", "rule 1 of chain own"],
  ["a set with the port", [[...inSet("web"), drop]], [], false, "drops", "rule 1 of chain own"],
  ["a set without it", [[...inSet("mail"), drop]], [], false, "passes", ""],
  [
    "a set of ranges with it",
    [[...inSet("high"), drop]],
    [],
    false,
    "drops",
    "rule 1 of chain own",
  ],
  ["a set of ranges without it", [[...inSet("low"), drop]], [], false, "passes", ""],
  [
    "a set that is not to be seen",
    [[...inSet("?"), drop]],
    [],
    false,
    "may drop",
    "rule 1 of chain own",
  ],
  ["all but what is in a set", [[...inSet("web", [[5, be32(1)]]), drop]], [], false, "passes", ""],
  ["a map of verdicts", [inSet("web", [[3, be32(0)]])], [], DROPS, "may drop", "policy drop"],
  ["an exception for the loopback", [[...from("lo"), accept]], [], DROPS, "drops", "policy drop"],
  ["one for an interface", [[...from("eth0"), accept]], [], DROPS, "may drop", "policy drop"],
  ["one for what goes on", [[...state(2), accept]], [], DROPS, "drops", "policy drop"],
  ["one for what begins", [[...state(8), accept]], [], DROPS, "passes", "rule 1 of chain own"],
  ["an exception that may hold", [[unknown, accept]], [], DROPS, "may drop", "policy drop"],
  ["a chain that is led to", [[jump]], [[drop]], false, "drops", "rule 1 of chain other"],
  [
    "one that may be led to",
    [[unknown, jump]],
    [[drop]],
    false,
    "may drop",
    "rule 1 of chain other",
  ],
  ["an exception there", [[jump], [drop]], [[accept]], false, "passes", "rule 1 of chain other"],
  ["a reject", [[expression("reject", [])]], [], false, "drops", "rule 1 of chain own"],
];

describe("walkChain()", () => {
  for (const [what, own, other, dropsByPolicy, outcome, by] of cases) {
    test(`${what}: ${outcome}`, () => {
      const place = { family: "ip", table: "filter" };
      const base: ListedChain = {
        ...place,
        name: "own",
        base: { hook: "forward", priority: 0, dropsByPolicy },
        rules: rules(own),
      };
      const ruleset = {
        chains: [base, { ...place, name: "other", rules: rules(other) }],
        elements: ({ set }: { set: string }) => SETS[set],
      };
      expect(walkChain(base, ruleset, packet)).toMatchObject({ outcome, by });
    });
  }
});
