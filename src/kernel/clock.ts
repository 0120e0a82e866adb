import { syscall } from "./syscall.ts";

const CLOCK_REALTIME = 0;
const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const time = new BigInt64Array(2);
const timeBytes = new Uint8Array(time.buffer);

/** Nanoseconds since the epoch, as the kernel tells them now (clock_gettime(2)): it follows a clock that is set. */
export function realtimeNano(): bigint {
  return clockNano(CLOCK_REALTIME);
}

/** When the machine started, in nanoseconds since the epoch, by the clock as it is now. */
export function bootedAtNano(): bigint {
  return realtimeNano() - clockNano(CLOCK_BOOTTIME);
}

function clockNano(clock: number): bigint {
  syscall("clock_gettime", clock, timeBytes);
  return (time[0] ?? 0n) * 1_000_000_000n + (time[1] ?? 0n);
}

/** Nanoseconds that the machine has been up without those asleep: it follows no clock that is set. */
export function monotonicNano(): bigint {
  return clockNano(CLOCK_MONOTONIC);
}

const TRIES = 5;
let originMs: number | undefined;

/**
 * The same in milliseconds, with fractions: equal for all processes of the machine. The runtime's own clock is the kernel's
 * monotonic one, counted from the start of the process, and reading it is no system call.
 */
export function monotonicMs(): number {
  originMs ??= Math.max(...Array.from({ length: TRIES }, readOrigin));
  return originMs + performance.now();
}

/** Too early by as much as passed between the two clocks' reading: another process may have run then. */
function readOrigin(): number {
  return Number(monotonicNano() / 1000n) / 1000 - performance.now();
}
