import { describe, expect, test } from "bun:test";
import { Passing, pauseBefore, retryAfterMs, withRetries } from "./retry.ts";

const policy = { attempts: 3, firstPauseMs: 1, longestPauseMs: 4 };

describe("withRetries()", () => {
  test("tries again what may pass, and no more than it should", async () => {
    let tries = 0;
    const failing = async (): Promise<never> => {
      tries += 1;
      throw new Passing(new Error(`try ${tries}`));
    };
    await expect(withRetries(failing, policy, undefined)).rejects.toThrow("try 3");
    expect(tries).toBe(3);
  });

  test("does not try again what is final", async () => {
    let tries = 0;
    const failing = async (): Promise<never> => {
      tries += 1;
      throw new Error("no");
    };
    await expect(withRetries(failing, policy, undefined)).rejects.toThrow("no");
    expect(tries).toBe(1);
  });

  test("stops waiting when it is called off", async () => {
    const controller = new AbortController();
    const patient = { attempts: 3, firstPauseMs: 60_000, longestPauseMs: 60_000 };
    const waiting = withRetries(
      () => Promise.reject(new Passing(new Error("busy"))),
      patient,
      controller.signal,
    );
    controller.abort();
    await expect(waiting).rejects.toThrow();
  });
});

test("pauses double with jitter, obey the other side, and are bounded", () => {
  const slow = { attempts: 9, firstPauseMs: 100, longestPauseMs: 1000 };
  expect([1, 2, 3, 9].map((attempt) => pauseBefore(attempt, undefined, slow, 1))).toEqual([
    100, 200, 400, 1000,
  ]);
  expect(pauseBefore(1, undefined, slow, 0)).toBe(50);
  expect(pauseBefore(1, 700, slow, 0)).toBe(700);
  expect(pauseBefore(1, 9000, slow, 0)).toBe(1000);
});

test("Retry-After is seconds or a date", () => {
  expect(retryAfterMs("120")).toBe(120_000);
  expect(retryAfterMs("Tue, 24 Nov 2026 12:00:10 GMT", Date.parse("2026-11-24T12:00:00Z"))).toBe(
    10_000,
  );
  expect(retryAfterMs("soon")).toBeUndefined();
  expect(retryAfterMs(null)).toBeUndefined();
});
