import { openSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Notices, onNotice } from "../kernel/notices.ts";
import { closeFd } from "../kernel/process.ts";
import { syscall, syscallRaw } from "../kernel/syscall.ts";
import { oomKills } from "./memory.ts";

/** O_CLOEXEC and O_NONBLOCK, which eventfd2 and inotify_init1 have as well. */
const QUIET = 0o2000000 | 0o4000;
const IN_MODIFY = 2;

/**
 * Tells when the kernel runs out of memory in a group. One descriptor for all groups: an eventfd that v1's
 * cgroup.event_control ties to memory.oom_control, or an inotify that sees v2's memory.events change; nothing is polled. It says
 * that something happened in one of them, on v1 just before the kernel kills. Source: cgroup-v1/memory.rst, "10. OOM Control";
 * cgroup-v2.rst, "memory.events".
 */
export class OomNotices {
  private readonly version: 1 | 2;
  private readonly callback: () => void;
  private open: { descriptor: number; notices: Notices } | undefined;

  constructor(version: 1 | 2, callback: () => void) {
    this.version = version;
    this.callback = callback;
  }

  /** Also tells of the group whose counting file this is, until the group goes. What cannot be watched is not. */
  add(eventsPath: string): void {
    const descriptor = this.descriptor();
    try {
      if (this.version === 2) syscallRaw("inotify_add_watch", descriptor, eventsPath, IN_MODIFY);
      else tie(descriptor, eventsPath);
    } catch {
      // Gone already, or a kernel without such notices: the container's end tells what it was killed for.
    }
  }

  close(): void {
    this.open?.notices.stop();
    this.open = undefined;
  }

  private descriptor(): number {
    if (this.open === undefined) {
      const descriptor =
        this.version === 2 ? syscall("inotify_init1", QUIET) : syscall("eventfd2", 0, QUIET);
      this.open = { descriptor, notices: onNotice(descriptor, this.callback) };
    }
    return this.open.descriptor;
  }
}

function tie(eventfd: number, oomControl: string): void {
  const control = openSync(oomControl, "r");
  try {
    writeFileSync(join(dirname(oomControl), "cgroup.event_control"), `${eventfd} ${control}`);
  } finally {
    closeFd(control);
  }
}

/** How many processes of a group the kernel has killed for want of memory; 0 when the group has gone. */
export function readOomKills(eventsPath: string): number {
  try {
    return oomKills(readFileSync(eventsPath, "utf8"));
  } catch {
    return 0;
  }
}
