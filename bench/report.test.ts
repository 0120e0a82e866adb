import { expect, test } from "bun:test";
import { amount, withReport } from "./report.ts";

test("a page keeps its text around the report", () => {
  const page = "# Title\n\n<!-- measured: begin -->\n\nold\n\n<!-- measured: end -->\n\nafter\n";
  const once = withReport(page, "new");
  expect(once).toBe(
    "# Title\n\n<!-- measured: begin -->\n\nnew\n\n<!-- measured: end -->\n\nafter\n",
  );
  expect(withReport(once, "new")).toBe(once);
});

test("without marks the report is the page", () => {
  expect(withReport("", "new")).toBe("new\n");
});

test("amounts are as short as they are exact", () => {
  expect([amount(4.26, "ms"), amount(117.4, "ms"), amount(28_512, "ms")]).toEqual([
    "4.3 ms",
    "117 ms",
    "28.5 s",
  ]);
  expect([amount(75, "kB"), amount(35_656, "kB")]).toEqual(["75.0 kB", "34.8 MB"]);
});
