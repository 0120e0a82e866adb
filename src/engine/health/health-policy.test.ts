import { describe, expect, test } from "bun:test";
import type { Health, HealthCheck, HealthResult } from "../types.ts";
import { afterCheck, healthTimes, isChecked, pauseMs, startingHealth } from "./health-policy.ts";

const SECOND = 1e9;
const check: HealthCheck = {
  test: ["CMD", "true"],
  intervalNano: 10 * SECOND,
  timeoutNano: 2 * SECOND,
  startPeriodNano: 20 * SECOND,
  startIntervalNano: SECOND,
  retries: 2,
};
const unset = { intervalNano: 0, timeoutNano: 0, startPeriodNano: 0, startIntervalNano: 0 };
const times = healthTimes(check);
const result = (exitCode: number): HealthResult => ({
  start: "2026-11-24T08:00:00Z",
  end: "2026-11-24T08:00:01Z",
  exitCode,
  output: "",
});
const fresh = startingHealth(null);

function after(results: number[], before: Health = fresh, checkedAtMs = 60_000): Health {
  return results.reduce(
    (health, exitCode) => afterCheck(times, health, result(exitCode), checkedAtMs),
    before,
  );
}

describe("the times of a health check", () => {
  test("are docker's where none are given", () => {
    expect(healthTimes({ ...check, ...unset, retries: 0 })).toEqual({
      intervalMs: 30_000,
      timeoutMs: 30_000,
      startPeriodMs: 0,
      startIntervalMs: 5_000,
      retries: 3,
    });
  });

  test("the start interval holds in the start period, until the first success", () => {
    expect(pauseMs(times, "starting", 0)).toBe(1_000);
    expect(pauseMs(times, "starting", 19_999)).toBe(1_000);
    expect(pauseMs(times, "starting", 20_000)).toBe(10_000);
    expect(pauseMs(times, "healthy", 5_000)).toBe(10_000);
  });

  test("without a start period there is no start interval", () => {
    expect(pauseMs({ ...times, startPeriodMs: 0 }, "starting", 0)).toBe(10_000);
  });
});

describe("health", () => {
  test("is there with the first success", () => {
    expect(after([0])).toMatchObject({ status: "healthy", failingStreak: 0 });
    expect(after([0], fresh, 0)).toMatchObject({ status: "healthy" });
  });

  test("is gone after as many failures in a row as retries say", () => {
    expect(after([0, 1])).toMatchObject({ status: "healthy", failingStreak: 1 });
    expect(after([0, 1, 0, 1])).toMatchObject({ status: "healthy", failingStreak: 1 });
    expect(after([0, 1, 1])).toMatchObject({ status: "unhealthy", failingStreak: 2 });
    expect(after([0, 1, 1, 1])).toMatchObject({ status: "unhealthy", failingStreak: 3 });
    expect(after([0, 1, 1, 0])).toMatchObject({ status: "healthy", failingStreak: 0 });
  });

  test("that never was does not go in the start period", () => {
    expect(after([1, 1, 1], fresh, 19_999)).toMatchObject({ status: "starting", failingStreak: 0 });
    expect(after([1, 1], fresh, 20_000)).toMatchObject({ status: "unhealthy" });
    expect(after([0, 1, 1], fresh, 1_000)).toMatchObject({ status: "unhealthy" });
  });

  test("keeps the last five results, over starts too", () => {
    const { log } = after([1, 2, 3, 4, 5, 6]);
    expect(log.map(({ exitCode }) => exitCode)).toEqual([2, 3, 4, 5, 6]);
    expect(startingHealth(after([1]))).toMatchObject({ status: "starting", failingStreak: 0 });
    expect(startingHealth(after([1])).log).toHaveLength(1);
  });

  test("is not looked for without a test, or with NONE", () => {
    expect(isChecked(null)).toBe(false);
    expect(isChecked({ ...check, test: [] })).toBe(false);
    expect(isChecked({ ...check, test: ["NONE"] })).toBe(false);
    expect(isChecked(check)).toBe(true);
  });
});
