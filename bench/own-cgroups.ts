import { globSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";

/** Where cgroup hierarchies are: one for v2, one for each controller of v1, or both. */
const HIERARCHIES = ["/sys/fs/cgroup", "/sys/fs/cgroup/*"];

/** Kills what is left in a group of ours (a path below each hierarchy's root), and removes it with all below it. */
export function removeGroup(path: string): void {
  const tops = HIERARCHIES.flatMap((hierarchy) => globSync(join(hierarchy, path)));
  for (const top of tops) {
    // The deepest first.
    const groups = [...globSync(join(top, "**/cgroup.procs"))].toSorted(
      (a, b) => b.length - a.length,
    );
    for (const file of groups) killMembers(file);
    for (const file of groups) removeWhenEmpty(join(file, ".."));
  }
}

function killMembers(file: string): void {
  for (const pid of readFileSync(file, "utf8").split("\n").map(Number)) {
    if (pid > 0) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }
}

const ATTEMPTS = 100;

function removeWhenEmpty(directory: string): void {
  for (let attempt = 1; ; attempt++) {
    try {
      rmdirSync(directory);
      return;
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (code === "ENOENT") return;
      if (code !== "EBUSY" || attempt === ATTEMPTS) throw error;
      // The killed are still on their way out.
      Bun.sleepSync(20);
    }
  }
}
