import { expect, test } from "bun:test";
import { summarize } from "./statistics.ts";

test("a summary of one value is that value", () => {
  expect(summarize([7])).toEqual({ median: 7, p10: 7, p95: 7, values: [7] });
});

test("quantiles lie between the neighbours, whatever the order of the values", () => {
  const { median, p10, p95 } = summarize([4, 1, 3, 2, 5, 6]);
  expect(median).toBe(3.5);
  expect(p10).toBeCloseTo(1.5);
  expect(p95).toBeCloseTo(5.75);
});

test("nothing measured has no summary", () => {
  expect(() => summarize([])).toThrow("Nothing was measured");
});
