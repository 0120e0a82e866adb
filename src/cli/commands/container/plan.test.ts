import { expect, test } from "bun:test";
import { planText } from "./plan.ts";

const ID = "8b181a0514dec378b82c2237acfa37636a9b62735e95e71ac7f000ed69942370";

test("a plan reads as a list by process, identifiers cut short", () => {
  expect(
    planText([
      {
        index: 9,
        side: "supervisor",
        reason: "open the run directory",
        call: `openat(-100, "/run/${ID}")`,
      },
      { index: 10, side: "container", reason: 'run "true"', call: 'execve("/bin/true")' },
    ]),
  ).toBe(
    [
      "In the supervisor:",
      '   9  open the run directory  openat(-100, "/run/8b181a0514de…")',
      "",
      "In the container's first process, before its program:",
      '  10  run "true"              execve("/bin/true")',
    ].join("\n"),
  );
});

test("times are in milliseconds, with the supervisor's sum, which spans the start", () => {
  const text = planText([
    { index: 0, side: "supervisor", reason: "a", call: "x()", nanoseconds: 1_500_000 },
    { index: 1, side: "container", reason: "b", call: "y()", nanoseconds: 250_000 },
  ]);
  expect(text).toContain("  0    1.500 ms  a  x()");
  expect(text).toEndWith("\n\n2 steps, 1.500 ms until the program ran");
});
