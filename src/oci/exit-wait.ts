import { closeFd, openProcess } from "../kernel/process.ts";
import { syscallRaw } from "../kernel/syscall.ts";

/** Waits until a process (of anybody's) has ended, at most so long; false when it has not. */
export function waitForEnd(pid: number, milliseconds: number): boolean {
  const pidfd = openProcess(pid);
  if (pidfd === undefined) return true;
  const poll = new Int32Array([pidfd, 1]);
  const time = new BigInt64Array([
    BigInt(Math.floor(milliseconds / 1000)),
    BigInt((milliseconds % 1000) * 1_000_000),
  ]);
  const bytes = new Uint8Array(poll.buffer);
  const found = syscallRaw("ppoll", bytes, 1, new Uint8Array(time.buffer), null, 8);
  closeFd(pidfd);
  return found > 0;
}

/** A wait status as a shell shows it: the exit status, or 128 + the signal's number. */
export function exitStatusOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}

/** Takes the status of a child that has ended, and of all others that have; undefined while that one runs. */
export function reapUntil(pid: number): number | undefined {
  const status = new Int32Array(1);
  for (;;) {
    const result = syscallRaw("wait4", -1, new Uint8Array(status.buffer), 1, null);
    if (result === pid) return exitStatusOf(status[0] ?? 0);
    if (result <= 0) return undefined;
  }
}
