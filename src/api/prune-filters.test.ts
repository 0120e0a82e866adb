import { describe, expect, test } from "bun:test";
import { pruneFilters } from "./prune-filters.ts";
import type { ApiRequest } from "./request.ts";

function read(filters: object, ...more: string[]): ReturnType<typeof pruneFilters> {
  const query = new URLSearchParams({ filters: JSON.stringify(filters) });
  return pruneFilters({ query } as ApiRequest, ...more);
}

const ago = (seconds: number): string => new Date(Date.now() - seconds * 1000).toISOString();

describe("the filters of a prune", () => {
  test("until: durations, times and dates; what is younger stays", () => {
    const hour = read({ until: ["1h"] });
    expect(hour.isWanted({}, ago(3700))).toBe(true);
    expect(hour.isWanted({}, ago(3500))).toBe(false);
    expect(hour.isWanted({}, "")).toBe(false);
    const seconds = read({ until: [String(Date.now() / 1000 - 60)] });
    expect(seconds.isWanted({}, ago(61))).toBe(true);
    expect(seconds.isWanted({}, ago(59))).toBe(false);
    expect(read({ until: ["2026-01-01"] }).isWanted({}, "2025-12-01T00:00:00Z")).toBe(true);
  });

  test("label must hold, label! must not", () => {
    expect(read({ label: ["a", "b=1"] }).isWanted({ a: "", b: "1" }, ago(1))).toBe(true);
    expect(read({ label: ["a", "b=1"] }).isWanted({ a: "", b: "2" }, ago(1))).toBe(false);
    expect(read({ "label!": ["a"] }).isWanted({ b: "" }, ago(1))).toBe(true);
    expect(read({ "label!": ["a"] }).isWanted({ a: "" }, ago(1))).toBe(false);
  });

  test("what is none of them is refused, in docker's words", () => {
    expect(() => read({ until: ["soon"] })).toThrow(/failed to parse value as time or duration/);
    expect(() => read({ until: ["1h", "2h"] })).toThrow(/more than one until filter specified/);
    expect(() => read({ name: ["a"] })).toThrow(/invalid filter 'name'/);
    expect(() => read({ dangling: ["true"] })).toThrow(/invalid filter 'dangling'/);
    expect(read({ dangling: ["false"] }, "dangling").filters.flag("dangling")).toBe(false);
  });
});
