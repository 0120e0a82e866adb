/** Damaged documents are refused in words, whatever is in them; a run with the same seed is the same run. */
import { describe, expect, test } from "bun:test";
import { TiffinError } from "../base/error.ts";
import { parseReference, familiarReference } from "../base/reference.ts";
import { parseImageConfig } from "./image-config.ts";
import { parseDocument } from "./manifest.ts";

const ROUNDS = Number(process.env["TIFFIN_FUZZ_ROUNDS"] ?? 3000);
const digest = `sha256:${"a".repeat(64)}`;
const descriptor = { mediaType: "application/x", digest, size: 7 };

/** Xorshift: reproducible, and good enough to hit things. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const PIECES = [
  '"',
  "{",
  "}",
  "[",
  "]",
  "null",
  "-1",
  "1e999",
  '"a"',
  ":",
  ",",
  "\u0000",
  "\ud800",
];

function damage(text: string, random: (below: number) => number): string {
  let damaged = text;
  for (let count = 1 + random(3); count > 0; count--) {
    const at = random(damaged.length + 1);
    const cut = random(12);
    const piece = PIECES[random(PIECES.length)] ?? "";
    damaged = damaged.slice(0, at) + piece + damaged.slice(at + cut);
  }
  return damaged;
}

function survives(valid: readonly string[], parse: (text: string) => unknown): void {
  const random = generator(0x7ff1);
  for (let round = 0; round < ROUNDS; round++) {
    const text = damage(valid[round % valid.length] ?? "", random);
    try {
      parse(text);
    } catch (error) {
      if (!(error instanceof TiffinError)) throw new Error(JSON.stringify(text), { cause: error });
      expect(["invalid-argument", "not-implemented"]).toContain(error.code);
    }
  }
}

describe("damaged", () => {
  test("manifests and indexes are refused in words", () => {
    const platform = { os: "linux", architecture: "arm64" };
    survives(
      [
        JSON.stringify({ schemaVersion: 2, config: descriptor, layers: [descriptor, descriptor] }),
        JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, platform }] }),
      ],
      (text) => parseDocument(Buffer.from(text), "it"),
    );
  });

  test("configurations are refused in words", () => {
    const config = {
      architecture: "amd64",
      os: "linux",
      config: { Env: ["A=b"], Cmd: ["x"], Labels: { a: "b" } },
      rootfs: { type: "layers", diff_ids: [digest] },
      history: [{ created_by: "x" }],
    };
    survives([JSON.stringify(config)], (text) => parseImageConfig(Buffer.from(text)));
  });

  test("references are refused in words, or mean the same when they are written again", () => {
    const valid = ["debian:12", `localhost:5000/team/app:3@${digest}`, "[::1]:5000/a/b__c.d"];
    survives(valid, (text) => {
      const reference = parseReference(text);
      expect(parseReference(familiarReference(reference))).toEqual(reference);
    });
  });
});
