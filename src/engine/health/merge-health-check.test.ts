import { describe, expect, test } from "bun:test";
import type { HealthCheck } from "../types.ts";
import { mergeHealthCheck } from "./merge-health-check.ts";

const none = { intervalNano: 0, timeoutNano: 0, startPeriodNano: 0, startIntervalNano: 0 };
const asked: HealthCheck = { test: [], ...none, retries: 0 };
const Healthcheck = { Test: ["CMD-SHELL", "true"], Interval: 5e9, Retries: 4 };

describe("a health check", () => {
  test("is the image's where the user asks for none", () => {
    expect(mergeHealthCheck(null, { Healthcheck })).toEqual({
      test: ["CMD-SHELL", "true"],
      ...none,
      intervalNano: 5e9,
      retries: 4,
    });
    expect(mergeHealthCheck(null, {})).toBe(null);
  });

  test("of the user is filled up from the image's, field by field", () => {
    const times = mergeHealthCheck({ ...asked, retries: 1, timeoutNano: 1e9 }, { Healthcheck });
    expect(times).toMatchObject({ test: ["CMD-SHELL", "true"], retries: 1, intervalNano: 5e9 });
    const other = mergeHealthCheck({ ...asked, test: ["TCP", "80"] }, { Healthcheck });
    expect(other).toMatchObject({ test: ["TCP", "80"], intervalNano: 5e9, retries: 4 });
    expect(mergeHealthCheck({ ...asked, test: ["NONE"] }, { Healthcheck })?.test).toEqual(["NONE"]);
  });

  test("runs in the image's shell", () => {
    const shell = ["/bin/ash", "-ec"];
    expect(mergeHealthCheck(null, { Healthcheck, Shell: shell })?.shell).toEqual(shell);
    expect(
      mergeHealthCheck({ ...asked, test: ["CMD-SHELL", "x"] }, { Shell: shell }),
    ).toMatchObject({ shell });
  });

  const hostile: object[] = [
    { Test: "true" },
    { Test: [1] },
    { Test: ["HTTP", ":80"] },
    { Interval: 5 },
  ];
  for (const value of hostile) {
    test(`that says ${JSON.stringify(value)} says nothing`, () => {
      expect(mergeHealthCheck(null, { Healthcheck: value })).toBe(null);
    });
  }

  test("takes no times that are none", () => {
    const odd = { Test: ["CMD", "x"], Interval: "5s", Timeout: -1, Retries: Infinity };
    expect(mergeHealthCheck(null, { Healthcheck: odd })).toEqual({
      test: ["CMD", "x"],
      ...none,
      retries: 0,
    });
  });
});
