import { parseDuration } from "./duration.ts";

const NANO = 1_000_000_000n;

/**
 * A time as docker's `since` and `until` take it: a duration back from now (`10m`), seconds since the epoch, or a date in
 * RFC 3339, in local time when it names no zone. In nanoseconds since the epoch; undefined when it is none of these.
 */
export function parsePointInTime(value: string, now: number = Date.now()): bigint | undefined {
  const back = duration(value);
  if (back !== undefined) return BigInt(now) * 1_000_000n - back;
  const seconds = /^(\d{1,12})(?:\.(\d{1,9}))?$/.exec(value);
  if (seconds !== null) return nanoseconds(BigInt(seconds[1] ?? "0") * NANO, seconds[2]);
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
      value,
    );
  if (match === null) return undefined;
  const [, date, hour = "00", minute = "00", second = "00", fraction, zone = ""] = match;
  const milliseconds = Date.parse(`${date}T${hour}:${minute}:${second}${zone}`);
  if (Number.isNaN(milliseconds)) return undefined;
  return nanoseconds(BigInt(milliseconds) * 1_000_000n, fraction);
}

function nanoseconds(whole: bigint, fraction: string = ""): bigint {
  return whole + BigInt(fraction.padEnd(9, "0"));
}

function duration(value: string): bigint | undefined {
  try {
    return parseDuration(value);
  } catch {
    // It is one of the other forms then.
    return undefined;
  }
}
