import { expect, test } from "bun:test";
import { formatDuration, humanDuration, parseDuration } from "./duration.ts";

test("parseDuration() reads Go durations", () => {
  const durations: Record<string, bigint> = {
    "0": 0n,
    "5s": 5_000_000_000n,
    "1h30m": 5_400_000_000_000n,
    "1.5h": 5_400_000_000_000n,
    "-2m": -120_000_000_000n,
    "+1ns": 1n,
    "3us": 3_000n,
    "3µs": 3_000n,
    "100ms": 100_000_000n,
    ".5s": 500_000_000n,
    "1.s": 1_000_000_000n,
    "9007199.254740993ms": 9_007_199_254_740n,
    "1.00000000000000000000000000000001s": 1_000_000_000n,
  };
  for (const [text, value] of Object.entries(durations)) expect(parseDuration(text)).toBe(value);
});

test("parseDuration() refuses other text in Go's words", () => {
  expect(() => parseDuration("")).toThrow('time: invalid duration ""');
  expect(() => parseDuration("3")).toThrow('time: missing unit in duration "3"');
  expect(() => parseDuration("1d")).toThrow('time: unknown unit "d" in duration "1d"');
  expect(() => parseDuration("1toString")).toThrow("time: unknown unit");
  for (const text of ["-", "s", ".s", "1h-3m", "x", "9999999999h"]) {
    expect(() => parseDuration(text)).toThrow("time: ");
  }
});

test("formatDuration() prints what Go prints, and reads back", () => {
  const texts = ["0s", "1ns", "1.1µs", "2.2ms", "3.3s", "4m5s", "5h6m7.001s", "-1m0s", "1h0m0s"];
  for (const text of texts) expect(formatDuration(parseDuration(text))).toBe(text);
});

test("humanDuration() speaks docker's words", () => {
  const [minute, hour, day] = [60, 3600, 86_400];
  const words: [number, string][] = [
    [0.45, "Less than a second"],
    [1, "1 second"],
    [45, "45 seconds"],
    [minute, "About a minute"],
    [3 * minute, "3 minutes"],
    [59 * minute + 59, "59 minutes"],
    [hour, "About an hour"],
    [hour + 45 * minute, "2 hours"],
    [47 * hour, "47 hours"],
    [48 * hour, "2 days"],
    [13 * day, "13 days"],
    [14 * day, "2 weeks"],
    [59 * day, "8 weeks"],
    [60 * day, "2 months"],
    [2 * 365 * day, "2 years"],
  ];
  for (const [seconds, text] of words) expect(humanDuration(seconds)).toBe(text);
});
