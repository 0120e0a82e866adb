import { describe, expect, test } from "bun:test";
import type { ListedChain, ListedExpression, ListedRule } from "../kernel/nft-listing.ts";
import { type Packet, walkChain } from "./packet-walk.ts";

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
  ["an exception to a policy", [[...port(80), accept]], [], DROPS, "passes", ""],
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
  ["an exception there", [[jump], [drop]], [[accept]], false, "passes", ""],
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
      const chains = [base, { ...place, name: "other", rules: rules(other) }];
      expect(walkChain(base, chains, packet)).toMatchObject({ outcome, by });
    });
  }
});
