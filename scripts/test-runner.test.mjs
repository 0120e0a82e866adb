import { expect, test } from "bun:test";
import { skipReasons, summary, tallyOf } from "./test-runner.mjs";

const xml = `<?xml version="1.0"?>
<testsuites name="bun test" tests="5" assertions="7" failures="1" skipped="2" time="0.1">
  <testsuite name="a.test.ts" tests="5" failures="1" skipped="2">
    <testcase name="needs root" classname="a" time="0">
      <skipped />
    </testcase>
    <testcase name="fine" classname="a" time="0" />
  </testsuite>
</testsuites>`;

test("a report's counts come from its outermost element", () => {
  expect(tallyOf(xml)).toMatchObject({ passed: 2, failed: 1, skipped: 2 });
  expect(tallyOf("")).toMatchObject({ passed: 0, failed: 0, skipped: 0 });
});

test("the closing line names skipped tests only when there are some", () => {
  expect(summary({ passed: 2, failed: 0, skipped: 0 })).toBe("2 passed, 0 failed");
  expect(summary({ passed: 2, failed: 1, skipped: 3 })).toBe("2 passed, 1 failed, 3 skipped");
});

test("the reason that a file gives stands before the names of its skipped tests", () => {
  expect(skipReasons("a.test.ts", xml, "")).toEqual(["a.test.ts: needs root"]);
  expect(skipReasons("a.test.ts", xml, "skipped: all: no docker\n")).toEqual([
    "a.test.ts: all: no docker",
  ]);
});
