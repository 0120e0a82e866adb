import { afterEach, expect, test } from "bun:test";
import { goTime, rfc3339Nano } from "./time.ts";
import { toTimestamp } from "./timestamp.ts";

const { TZ } = process.env;

afterEach(() => {
  if (TZ === undefined) delete process.env["TZ"];
  else process.env["TZ"] = TZ;
});

test("times are Go's, in UTC", () => {
  process.env["TZ"] = "UTC";
  expect(goTime(1795508797)).toBe("2026-11-24 08:26:37 +0000 UTC");
  expect(rfc3339Nano(1795508797_135816138n)).toBe("2026-11-24T08:26:37.135816138Z");
});

test("durations go back from now, numbers and dates stay", () => {
  process.env["TZ"] = "UTC";
  const now = Date.parse("2026-11-24T09:00:00Z");
  expect(toTimestamp("1m30s", "p", now)).toBe("1795510710.000000000");
  expect(toTimestamp("1795510710.5", "p", now)).toBe("1795510710.5");
  expect(toTimestamp("2026-11-24T08:58:30.000000001Z", "p", now)).toBe("1795510710.000000001");
  expect(toTimestamp("2026-11-24T09:58:30+01:00", "p", now)).toBe("1795510710.000000000");
  expect(toTimestamp("2026-11-24", "p", now)).toBe("1795478400.000000000");
  expect(() => toTimestamp("foo", 'invalid value for "since"', now)).toThrow(
    'invalid value for "since": failed to parse value as time or duration: "foo"',
  );
});
