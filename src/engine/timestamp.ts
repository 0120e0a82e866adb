import { realtimeNano } from "../kernel/clock.ts";

/** Now, as docker writes times: ISO 8601 in UTC with nanoseconds. */
export function timestamp(): string {
  return timestampOf(realtimeNano());
}

/** @param nano nanoseconds since the epoch */
export function timestampOf(nano: bigint): string {
  const seconds = new Date(Number(nano / 1_000_000n)).toISOString().slice(0, 19);
  return `${seconds}.${String(nano % 1_000_000_000n).padStart(9, "0")}Z`;
}
