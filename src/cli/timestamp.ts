import { parsePointInTime } from "../base/point-in-time.ts";
import { failure } from "./failure.ts";

const NANO = 1_000_000_000n;

/**
 * What `--since` and `--until` take, as the API does (`SECONDS.NANOSECONDS`): see {@link parsePointInTime}.
 *
 * @throws in docker's words
 */
export function toTimestamp(value: string, problem: string, now: number = Date.now()): string {
  if (/^\d+(\.\d{1,9})?$/.test(value)) return value;
  const nano = parsePointInTime(value, now);
  if (nano === undefined) {
    throw failure(
      `tiffin: ${problem}: failed to parse value as time or duration: ${JSON.stringify(value)}`,
    );
  }
  return `${nano / NANO}.${(nano % NANO).toString().padStart(9, "0")}`;
}
