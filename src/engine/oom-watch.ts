import { OomNotices, readOomKills } from "../cgroups/oom-notices.ts";
import type { CgroupDriver } from "../cgroups/driver.ts";

/** After a notice the kernel still has to find and kill a process. */
const LOOKS_MS = [10, 50, 250, 1000];

/** Tells while a container runs that the kernel has killed in it for want of memory. */
export class OomWatch {
  private readonly cgroups: CgroupDriver;
  private readonly notices: OomNotices;
  /** Kills that were told, by container; watched ones alone. */
  private readonly told = new Map<string, number>();
  private timers: ReturnType<typeof setTimeout>[] = [];
  private onKill: (id: string) => void = () => undefined;

  constructor(cgroups: CgroupDriver) {
    this.cgroups = cgroups;
    const version = cgroups.layout.kind === "v2" ? 2 : 1;
    this.notices = new OomNotices(version, () => this.lookSoon());
  }

  /** `callback` is called with the container's ID, once for all kills since it was called last. */
  onKills(callback: (id: string) => void): void {
    this.onKill = callback;
  }

  /** `since`: from its start, or from now on, for one that ran while no engine did. */
  watch(id: string, since: "start" | "now"): void {
    const path = this.cgroups.paths.oomEvents(id);
    if (path === undefined) return;
    this.notices.add(path);
    this.told.set(id, since === "now" ? readOomKills(path) : 0);
    if (since === "start") this.look();
  }

  /** It has ended; returns how many kills were told of it. */
  forget(id: string): number {
    const told = this.told.get(id) ?? 0;
    this.told.delete(id);
    return told;
  }

  close(): void {
    this.timers.forEach(clearTimeout);
    this.notices.close();
  }

  private lookSoon(): void {
    this.timers.forEach(clearTimeout);
    this.timers = LOOKS_MS.map((delay) => setTimeout(() => this.look(), delay).unref());
  }

  private look(): void {
    for (const [id, told] of this.told) {
      const kills = readOomKills(this.cgroups.paths.oomEvents(id) ?? "");
      if (kills <= told) continue;
      this.told.set(id, kills);
      this.onKill(id);
    }
  }
}
