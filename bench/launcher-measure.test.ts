import { expect, test } from "bun:test";
import { nanosecondsToProgram } from "./launcher-measure.ts";

const step = (side: string, call: string, nanoseconds: number) => ({
  side,
  reason: "",
  call,
  nanoseconds,
});

test("the launcher's part ends when the program runs; what the container does meanwhile is in the waiting", () => {
  const steps = [
    step("supervisor", "clone3(0x0) -> pid", 100),
    step("container", 'execve("true")', 5000),
    step("supervisor", "poll(parted, readable)", 30),
    step("supervisor", "poll(executed.read, closed)", 7),
    step("supervisor", "supervise", 900),
  ];
  expect(nanosecondsToProgram(steps)).toBe(137);
});

test("a report without the wait for the program is refused", () => {
  expect(() => nanosecondsToProgram([step("supervisor", "supervise", 1)])).toThrow("No step");
});
