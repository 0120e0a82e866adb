import { expect, test } from "bun:test";
import { TiffinError } from "../base/error.ts";
import { FUZZ_ROUNDS, FUZZ_SEED } from "../base/fuzz-fixture.ts";
import { TarDecoder } from "./tar-reader.ts";
import { tarArchive } from "./tar-writer.ts";

/** A small generator with a seed (mulberry32), so that a failure can be repeated. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const seeds: readonly Uint8Array[] = [
  tarArchive([
    { type: "directory", path: "d" },
    {
      type: "file",
      path: `d/${"n".repeat(200)}`,
      content: "x".repeat(600),
      mtimeNs: 1_500_000_000n,
    },
    { type: "hardlink", path: "h", linkTarget: "t".repeat(150) },
    { type: "file", path: "a", content: "1", xattrs: new Map([["user.k", Buffer.from("v\n\0")]]) },
  ]),
  tarArchive([
    { type: "file", path: "sparse", content: "2\n0\n3\n10\n3\n".padEnd(512, "\0") + "abcdef" },
    { type: "symlink", path: "l", linkTarget: "../../etc" },
  ]),
];

function mutate(archive: Uint8Array, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(archive);
  const types = "01234567xgLKSVDMNX\0Z";
  for (let change = random(6); change >= 0; change--) {
    const at = random(bytes.length);
    const kind = random(4);
    if (kind === 0) bytes[at] = random(256);
    else if (kind === 1) bytes.write(String(random(1e9)), at, "latin1");
    else if (kind === 2)
      bytes[Math.floor(at / 512) * 512 + 156] = types.charCodeAt(random(types.length));
    else bytes.copyWithin(at, random(bytes.length), random(bytes.length));
  }
  // Most changes would end at the checksum: make it right in each block that may be a header.
  for (let at = 0; at < bytes.length && random(8) !== 0; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (block.length < 512 || block.every((byte) => byte === 0)) continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  }
  return bytes.subarray(0, random(4) === 0 ? random(bytes.length) : bytes.length);
}

/** All events as text, or the error. Throws what is no TiffinError. */
function outcome(archive: Uint8Array, chunkBytes: number): string {
  const decoder = new TarDecoder();
  const seen: string[] = [];
  let length = 0;
  let offset = 0;
  try {
    for (let at = 0; at < archive.length; at += chunkBytes) {
      for (const event of decoder.push(archive.subarray(at, at + chunkBytes))) {
        if (event.kind === "entry") {
          seen.push(`${event.entry.type} ${event.entry.path} ${event.entry.sizeBytes}`);
          length = event.entry.sizeBytes;
          offset = 0;
        } else if (event.kind === "data") {
          expect(event.offset).toBeGreaterThanOrEqual(offset);
          offset = event.offset + event.data.length;
          expect(offset).toBeLessThanOrEqual(length);
        } else seen.push(`end ${offset}`);
      }
    }
    decoder.finish();
    return seen.join("\n");
  } catch (error) {
    if (!(error instanceof TiffinError) || error.code !== "invalid-argument") throw error;
    return `${seen.join("\n")}\n${error.message}`;
  }
}

test("damaged archives end in an error of their own or in entries, the same for any chunk size", () => {
  for (let seed = FUZZ_SEED; seed < FUZZ_SEED + FUZZ_ROUNDS / 2; seed++) {
    const random = randomNumbers(seed);
    const archive = mutate(seeds[seed % seeds.length]!, random);
    const whole = outcome(archive, archive.length || 1);
    const pieces = outcome(archive, 1 + random(700));
    if (whole !== pieces) throw new TypeError(`seed ${seed}:\n${whole}\n---\n${pieces}`);
  }
});

test("random bytes are never an archive", () => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = randomNumbers(seed);
    const bytes = Uint8Array.from({ length: 600 }, () => random(256));
    expect(outcome(bytes, 512)).toContain("Cannot read archive: ");
  }
});
