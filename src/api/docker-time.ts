import { invalidArgument } from "../base/error.ts";

/** Go's zero time: how docker says "never". */
export const neverTime = "0001-01-01T00:00:00Z";

export function isNever(time: string): boolean {
  return time === "" || time.startsWith("0001-01-01T00:00:00");
}

/** Whole seconds since the epoch of an ISO 8601 time; 0 for "never". */
export function unixSeconds(time: string): number {
  const milliseconds = isNever(time) ? 0 : Date.parse(time);
  return Number.isNaN(milliseconds) ? 0 : Math.floor(milliseconds / 1000);
}

/**
 * Nanoseconds since the epoch from a `since` or `until` parameter: seconds with up to nine decimals ("1136073600.5"),
 * which is what clients make of dates and of durations. "" is 0n. @throws invalid-argument
 */
export function parseNanoseconds(name: string, value: string): bigint {
  if (value === "") return 0n;
  const match = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?$/.exec(value);
  if (match === null) {
    throw invalidArgument(
      `invalid value "${value}" for ${name}: want seconds since the epoch, such as 1136073600.000000001`,
    );
  }
  const nanoseconds =
    BigInt(match[2] ?? "0") * 1_000_000_000n + BigInt((match[3] ?? "").padEnd(9, "0"));
  return match[1] === "-" ? -nanoseconds : nanoseconds;
}
