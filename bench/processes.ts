import { readdirSync, readFileSync } from "node:fs";

/** Memory of one process in kB (proc_pid_smaps(5)): shared pages count by their share in Pss. */
export interface ProcessMemory {
  readonly pss: number;
  readonly private: number;
}

export function memoryOf(pid: number): ProcessMemory {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(text)?.[1] ?? Number.NaN);
  return { pss: field("Pss"), private: field("Private_Clean") + field("Private_Dirty") };
}

export function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
}

export function nameOf(pid: number): string {
  return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
}

function allPids(): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0);
}

export function childrenOf(parent: number): number[] {
  return allPids().filter((pid) => {
    try {
      return parentOf(pid) === parent;
    } catch {
      return false;
    }
  });
}

/** Ends what an engine has left over: processes whose command line names a directory of ours. */
export function killWhatNames(directory: string): void {
  for (const pid of allPids()) {
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, "utf8");
      if (pid !== process.pid && words.includes(directory)) process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}

/** MemAvailable of the machine in kB. */
export function availableMemory(): number {
  const text = readFileSync("/proc/meminfo", "utf8");
  return Number(/^MemAvailable:\s+(\d+)/m.exec(text)?.[1]);
}
