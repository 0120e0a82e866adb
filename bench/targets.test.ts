import { expect, test } from "bun:test";
import { Results, type Row } from "./results.ts";
import { judge } from "./targets.ts";

function measured(row: string, medians: Readonly<Record<string, number>>): [Row, typeof medians] {
  return [{ name: row, title: row, unit: "ms" }, medians];
}

function resultsOf(...rows: readonly ReturnType<typeof measured>[]): Results {
  const results = new Results();
  for (const [row, medians] of rows) {
    for (const [contender, value] of Object.entries(medians)) results.record(row, contender, value);
  }
  return results;
}

function verdict(results: Results, text: string): string | undefined {
  return judge(results).find((one) => one.text === text)?.verdict;
}

test("a target that names a peer is judged by the ratio to it", () => {
  const results = resultsOf(measured("run", { tiffin: 60, docker: 480, podman: 239 }));
  expect(verdict(results, "`run --rm`: at most 1/8 of docker's time")).toBe("pass");
  expect(verdict(results, "`run --rm`: at most 1/4 of podman's time")).toBe("miss");
});

test("a target is not judged when a peer was left out", () => {
  const results = resultsOf(measured("run", { tiffin: 60, docker: 480 }));
  expect(verdict(results, "`run --rm`: at most 1/4 of podman's time")).toBe("not measured");
  expect(judge(new Results()).every((one) => one.verdict === "not measured")).toBe(true);
});

test("what entering a namespace costs crun is no allowance for us", () => {
  const text = "`run --rm`: at most 2 × crun + `tiffin --version`";
  const start = measured("client-start", { tiffin: 10 });
  const plain = measured("run", { tiffin: 49, crun: 20 });
  expect(verdict(resultsOf(start, plain), text)).toBe("pass");
  const entered = measured("run", { tiffin: 49, crun: 20, nsenter: 5, "fork+exec": 2 });
  expect(verdict(resultsOf(start, entered), text)).toBe("miss");
});

test("speed lost is the difference to the host, in percent", () => {
  const text = "CPU speed lost in a container: under 1 %";
  expect(verdict(resultsOf(measured("cpu", { tiffin: 1009, host: 1000 })), text)).toBe("pass");
  expect(verdict(resultsOf(measured("cpu", { tiffin: 1011, host: 1000 })), text)).toBe("miss");
  // By the fast rounds, however many were disturbed.
  const disturbed = resultsOf();
  const row: Row = { name: "cpu", title: "cpu", unit: "ms" };
  for (const value of [50, 50, 50, 90, 95]) disturbed.record(row, "tiffin", value);
  for (const value of [50, 50, 50, 50, 50]) disturbed.record(row, "host", value);
  expect(verdict(disturbed, text)).toBe("pass");
});
