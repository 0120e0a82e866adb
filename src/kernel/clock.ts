import { syscall } from "./syscall.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const time = new BigInt64Array(2);
const timeBytes = new Uint8Array(time.buffer);

/** Nanoseconds since the epoch, as the kernel tells them now (clock_gettime(2)): it follows a clock that is set. */
export function realtimeNano(): bigint {
  syscall("clock_gettime", CLOCK_REALTIME, timeBytes);
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

/** Nanoseconds that the machine has been up without those asleep: it follows no clock that is set. */
export function monotonicNano(): bigint {
  syscall("clock_gettime", CLOCK_MONOTONIC, timeBytes);
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}
