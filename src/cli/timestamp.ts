import { parseDuration } from "../base/duration.ts";
import { failure } from "./failure.ts";

const NANO = 1_000_000_000n;

/**
 * What `--since` and `--until` take, as the API does (`SECONDS.NANOSECONDS`): a duration back from now, seconds since the
 * epoch, or a date in RFC 3339, in local time when it names no zone.
 *
 * @throws in docker's words
 */
export function toTimestamp(value: string, problem: string, now: number = Date.now()): string {
  const back = duration(value);
  if (back !== undefined) return fromNano(BigInt(now) * 1_000_000n - back);
  if (/^\d+(\.\d{1,9})?$/.test(value)) return value;
  const match =
    /^(\d{4}-\d{2}-\d{2})(?:T(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(
      value,
    );
  if (match === null) throw unreadable(value, problem);
  const [, date, hour = "00", minute = "00", second = "00", fraction = "", zone = ""] = match;
  const milliseconds = Date.parse(`${date}T${hour}:${minute}:${second}${zone}`);
  if (Number.isNaN(milliseconds)) throw unreadable(value, problem);
  return fromNano(BigInt(milliseconds) * 1_000_000n + BigInt(fraction.padEnd(9, "0")));
}

function duration(value: string): bigint | undefined {
  try {
    return parseDuration(value);
  } catch {
    // It is one of the other forms then.
    return undefined;
  }
}

function fromNano(nanoseconds: bigint): string {
  return `${nanoseconds / NANO}.${(nanoseconds % NANO).toString().padStart(9, "0")}`;
}

function unreadable(value: string, problem: string): Error {
  return failure(
    `tiffin: ${problem}: failed to parse value as time or duration: ${JSON.stringify(value)}`,
  );
}
