import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

/**
 * A new name for something half made or half deleted: PID.START.RANDOM of the process at work, so that whoever finds it
 * later can tell whether that process still is.
 */
export function partialName(): string {
  const start = startTime(process.pid) ?? "0";
  return `${process.pid}.${start}.${randomBytes(6).toString("hex")}`;
}

/** True when the process that works on it is gone, or the name is none of ours. */
export function isLeftover(name: string): boolean {
  const [pid, start] = name.split(".");
  return pid === undefined || start === undefined || startTime(Number(pid)) !== start;
}

/** When a process started, in clock ticks since boot; null when there is none. Source: proc_pid_stat(5), field 22. */
function startTime(pid: number): string | null {
  if (!Number.isSafeInteger(pid)) return null;
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name in field 2 may hold spaces and brackets.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
  } catch {
    return null;
  }
}
