import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Decompressor } from "./decompressor.ts";

/** Larger than the output at a time, and in part random. */
const content = Buffer.concat([
  Buffer.alloc(700_000, "a layer's bytes "),
  crypto.getRandomValues(new Uint8Array(60_000)),
]);

function decompressed(packed: Uint8Array, size: number): Uint8Array {
  const parts: Uint8Array[] = [];
  const decompressor = new Decompressor((bytes) => parts.push(Uint8Array.from(bytes)));
  try {
    for (let at = 0; at < packed.length; at += size) {
      decompressor.push(packed.subarray(at, at + size));
    }
    decompressor.finish();
  } finally {
    decompressor.close();
  }
  return Buffer.concat(parts);
}

const forms: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ["plain", (bytes) => bytes],
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
];

describe("Decompressor", () => {
  test.each(forms)("%s bytes come out as they were, whatever the pieces", (_, pack) => {
    for (const size of [1, 7, 65_536, 1 << 20]) {
      const some = size === 1 ? content.subarray(690_000, 710_000) : content;
      expect(Bun.hash(decompressed(pack(some), size))).toBe(Bun.hash(some));
    }
  });

  test.each(forms.slice(1))("%s in two parts is one stream", (_, pack) => {
    const parts = [content.subarray(0, 300_000), content.subarray(300_000)].map(pack);
    expect(Bun.hash(decompressed(Buffer.concat(parts), 1000))).toBe(Bun.hash(content));
  });

  test("zeros after gzip data are padding", () => {
    const padded = Buffer.concat([gzipSync(content), Buffer.alloc(600_000)]);
    expect(decompressed(padded, 65_536).length).toBe(content.length);
  });

  test("nothing is nothing", () => {
    expect(decompressed(new Uint8Array(), 10).length).toBe(0);
    expect(decompressed(Buffer.from("abc"), 10)).toEqual(Buffer.from("abc"));
  });

  test("gzip data that ends early or is damaged is refused", () => {
    const packed = gzipSync(content);
    expect(() => decompressed(packed.subarray(0, -9), 65_536)).toThrow("gzip data is damaged");
    packed[packed.length - 6] = (packed.at(-6) ?? 0) ^ 1;
    expect(() => decompressed(packed, 65_536)).toThrow("incorrect data check");
  });

  test("damaged zstd data is refused", () => {
    const packed = zstdCompressSync(content);
    packed.fill(0xff, 40, 80);
    expect(() => decompressed(packed, 65_536)).toThrow("zstd data is damaged");
  });
});
