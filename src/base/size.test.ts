import { expect, test } from "bun:test";
import { binarySize, humanSize, parseBinarySize, parseDecimalSize } from "./size.ts";

test("humanSize() prints decimal units", () => {
  expect([0, 999, 1000, 1230, 1234567, 77_800_000, 2 ** 40].map((size) => humanSize(size))).toEqual(
    ["0B", "999B", "1kB", "1.23kB", "1.235MB", "77.8MB", "1.1TB"],
  );
  expect(humanSize(1234567, 3)).toBe("1.23MB");
  expect(humanSize(116_523_456, 3)).toBe("117MB");
});

test("binarySize() prints binary units with four significant digits", () => {
  expect([0, 1023, 1024, 64 * 2 ** 20, 1.5 * 2 ** 30, 1_999_999].map(binarySize)).toEqual([
    "0B",
    "1023B",
    "1KiB",
    "64MiB",
    "1.5GiB",
    "1.907MiB",
  ]);
});

test("parseBinarySize() reads what docker reads", () => {
  const sizes: Record<string, number> = {
    "0": 0,
    "32": 32,
    "32b": 32,
    "32B": 32,
    "32k": 32 << 10,
    "32 K": 32 << 10,
    "32kb": 32 << 10,
    "32KiB": 32 << 10,
    "64m": 64 << 20,
    "1.5g": 1.5 * 2 ** 30,
    "2T": 2 * 2 ** 40,
    "1p": 2 ** 50,
    ".5k": 512,
    "3.": 3,
  };
  for (const [text, bytes] of Object.entries(sizes)) expect(parseBinarySize(text)).toBe(bytes);
  expect(parseDecimalSize("10kB")).toBe(10_000);
});

test("parseBinarySize() refuses other text", () => {
  for (const text of ["", "hello", "-32", "m", "1..5k", " 32", "1e3", "99999999p"]) {
    expect(() => parseBinarySize(text)).toThrow("invalid");
  }
  expect(() => parseBinarySize("abc")).toThrow("invalid size: 'abc'");
  for (const text of ["32mm", "32bb", "32kib ", "32x", "32  k"]) {
    expect(() => parseBinarySize(text)).toThrow("invalid suffix");
  }
});
