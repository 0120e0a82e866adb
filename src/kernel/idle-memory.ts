import { readFileSync } from "node:fs";
import { syscallRaw } from "./syscall.ts";

const MADV_DONTNEED = 4;

export interface MemoryArea {
  readonly start: bigint;
  readonly bytes: bigint;
}

/** Executable mappings of files, from /proc/PID/maps (proc_pid_maps(5)): nobody has changed their pages (relocated data is not among them). */
export function programTextAreas(maps: string): MemoryArea[] {
  return maps.split("\n").flatMap((line) => {
    const [, start, end] = /^([0-9a-f]+)-([0-9a-f]+) r-xp \S+ \S+ [1-9]\d* +\/.*$/.exec(line) ?? [];
    if (start === undefined || end === undefined) return [];
    const address = BigInt(`0x${start}`);
    return [{ start: address, bytes: BigInt(`0x${end}`) - address }];
  });
}

/**
 * Lets go of the program text that this process has mapped but does not use now; what is needed again comes back from the
 * page cache by minor faults (madvise(2), MADV_DONTNEED on clean file pages).
 */
export function releaseProgramText(): void {
  for (const { start, bytes } of programTextAreas(readFileSync("/proc/self/maps", "utf8"))) {
    syscallRaw("madvise", start, bytes, MADV_DONTNEED);
  }
}

/** A full collection of the JavaScript heap, which gives its free pages and compiled code back (Bun's own calls for that). */
export function collectHeap(): void {
  Bun.shrink();
  Bun.gc(true);
}
