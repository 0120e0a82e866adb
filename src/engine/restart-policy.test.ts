import { describe, expect, test } from "bun:test";
import { afterFailedRestart, afterRun, comesBack, type NextStep } from "./restart-policy.ts";
import type { EndCause } from "./types.ts";

const fresh = { restartCount: 0, backoffMs: 0 };
const policy = (name: string, maximumRetryCount = 0) => ({ name, maximumRetryCount });
const end = (exitCode: number, ranMs = 0, cause: EndCause = "") => ({ exitCode, ranMs, cause });
const isRestart = (next: NextStep): boolean => next.action === "restart";

describe("after a run", () => {
  const cases: [string, number, boolean][] = [
    ["no", 1, false],
    ["always", 0, true],
    ["always", 1, true],
    ["unless-stopped", 0, true],
    ["on-failure", 0, false],
    ["on-failure", 1, true],
  ];
  for (const [name, exitCode, isRestarted] of cases) {
    test(`${name} with exit status ${exitCode}: ${isRestarted ? "restarts" : "stays"}`, () => {
      expect(isRestart(afterRun(policy(name), fresh, end(exitCode)))).toBe(isRestarted);
    });
  }

  test("that a user ended no policy starts it again", () => {
    for (const name of ["always", "unless-stopped", "on-failure"]) {
      expect(afterRun(policy(name), fresh, end(137, 0, "user"))).toEqual({ action: "stay" });
    }
  });

  test("on-failure:2 gives up after two restarts", () => {
    const twice = policy("on-failure", 2);
    expect(isRestart(afterRun(twice, { restartCount: 1, backoffMs: 100 }, end(1)))).toBe(true);
    expect(isRestart(afterRun(twice, { restartCount: 2, backoffMs: 200 }, end(1)))).toBe(false);
  });

  test("pauses double up to a minute, and start anew after a good run", () => {
    let history = fresh;
    const delays: number[] = [];
    for (let run = 0; run < 12; run++) {
      const next = afterRun(policy("always"), history, end(1, 9_999), 0.5);
      if (next.action !== "restart") throw new Error("it must restart");
      delays.push(next.delayMs);
      history = next;
    }
    const expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200];
    expect(delays).toEqual([...expected, 60_000, 60_000]);
    expect(history.restartCount).toBe(12);
    expect(afterRun(policy("always"), history, end(1, 10_000), 0.5)).toEqual({
      action: "restart",
      delayMs: 100,
      backoffMs: 100,
      restartCount: 13,
    });
  });

  test("pauses differ by a tenth up and down, never above a minute", () => {
    const at = (backoffMs: number, random: number) =>
      afterRun(policy("always"), { restartCount: 1, backoffMs }, end(1), random);
    expect(at(500, 0)).toMatchObject({ delayMs: 900, backoffMs: 1000 });
    expect(at(500, 1)).toMatchObject({ delayMs: 1100, backoffMs: 1000 });
    expect(at(60_000, 1)).toMatchObject({ delayMs: 60_000 });
  });

  test("that was ended for its health, on-unhealthy restart starts it whatever the policy", () => {
    expect(isRestart(afterRun(policy("no"), fresh, end(0, 0, "unhealthy-restart")))).toBe(true);
  });

  test("that was ended for its health, on-unhealthy stop keeps it ended and kill asks the policy", () => {
    expect(isRestart(afterRun(policy("always"), fresh, end(0, 0, "unhealthy-stop")))).toBe(false);
    expect(isRestart(afterRun(policy("always"), fresh, end(137, 0, "unhealthy-kill")))).toBe(true);
    expect(isRestart(afterRun(policy("no"), fresh, end(137, 0, "unhealthy-kill")))).toBe(false);
  });

  test("that took too long the policy decides", () => {
    expect(isRestart(afterRun(policy("on-failure"), fresh, end(143, 0, "timeout")))).toBe(true);
    expect(isRestart(afterRun(policy("no"), fresh, end(143, 0, "timeout")))).toBe(false);
  });
});

describe("after a restart that failed", () => {
  test("it counts as a failed run", () => {
    const failure = { exitCode: 127, isExhausted: false };
    const once = policy("on-failure", 1);
    expect(isRestart(afterFailedRestart(policy("always"), fresh, failure))).toBe(true);
    expect(isRestart(afterFailedRestart(once, { restartCount: 1, backoffMs: 100 }, failure))).toBe(
      false,
    );
  });

  test("a full disk uses up no try", () => {
    const failure = { exitCode: 128, isExhausted: true };
    const history = { restartCount: 1, backoffMs: 100 };
    expect(afterFailedRestart(policy("on-failure", 1), history, failure, 0.5)).toEqual({
      action: "restart",
      delayMs: 200,
      backoffMs: 200,
      restartCount: 1,
    });
  });
});

describe("when an engine starts", () => {
  const cases: [string, EndCause, boolean][] = [
    ["always", "", true],
    ["always", "user", true],
    ["unless-stopped", "", true],
    ["unless-stopped", "user", false],
    ["unless-stopped", "unhealthy-stop", false],
    ["on-failure", "", false],
    ["no", "", false],
  ];
  for (const [name, cause, isBack] of cases) {
    test(`${name}, ended by ${cause || "itself"}: ${isBack ? "comes back" : "stays"}`, () => {
      expect(comesBack(policy(name), cause)).toBe(isBack);
    });
  }
});
