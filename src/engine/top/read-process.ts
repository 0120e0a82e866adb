import { readFileSync } from "node:fs";

/** One process as /proc tells of it (proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5)). */
export interface ProcessFacts {
  readonly pid: number;
  /** At most 15 bytes. */
  readonly name: string;
  /** Empty of kernel threads and of who has ended. */
  readonly arguments: readonly string[];
  /** `S`, `R`, `Z`. */
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  /** Device number of the terminal; 0: none. */
  readonly terminal: number;
  /** Process group in the terminal's foreground. */
  readonly foreground: number;
  readonly flags: number;
  readonly minorFaults: number;
  readonly majorFaults: number;
  /** User and system time, in ticks of 1/100 s. */
  readonly cpuTicks: number;
  readonly priority: number;
  readonly nice: number;
  readonly threads: number;
  /** Ticks after boot. */
  readonly startTicks: number;
  readonly virtualBytes: number;
  readonly residentBytes: number;
  readonly processor: number;
  readonly isLocked: boolean;
  readonly realUid: number;
  readonly effectiveUid: number;
  readonly realGid: number;
  readonly effectiveGid: number;
}

/** Undefined when it has ended. */
export function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, "utf8");
    return parseProcess(pid, {
      stat: read("stat"),
      status: read("status"),
      commandLine: read("cmdline"),
    });
  } catch {
    return undefined;
  }
}

export function parseProcess(
  pid: number,
  texts: { readonly stat: string; readonly status: string; readonly commandLine: string },
): ProcessFacts {
  const { stat, status, commandLine } = texts;
  // The name may hold anything, also blanks and parentheses: the last one ends it.
  const end = stat.lastIndexOf(")");
  const fields = stat
    .slice(end + 2)
    .trim()
    .split(" ");
  /** By proc_pid_stat(5)'s numbers, which begin with 1 for the pid. */
  const field = (number: number): number => Number(fields[number - 3] ?? 0);
  const ids = (name: string): number[] =>
    (new RegExp(`^${name}:\\t(.*)$`, "m").exec(status)?.[1] ?? "").split("\t").map(Number);
  const [realUid = 0, effectiveUid = 0] = ids("Uid");
  const [realGid = 0, effectiveGid = 0] = ids("Gid");
  return {
    pid,
    name: stat.slice(stat.indexOf("(") + 1, end),
    arguments: commandLine === "" ? [] : commandLine.replace(/\0+$/, "").split("\0"),
    state: fields[0] ?? "?",
    parent: field(4),
    group: field(5),
    session: field(6),
    terminal: field(7),
    foreground: field(8),
    flags: field(9),
    minorFaults: field(10),
    majorFaults: field(12),
    cpuTicks: field(14) + field(15),
    priority: field(18),
    nice: field(19),
    threads: field(20),
    startTicks: field(22),
    virtualBytes: field(23),
    residentBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024,
    processor: field(39),
    isLocked: /^VmLck:\s+[1-9]/m.test(status),
    realUid,
    effectiveUid,
    realGid,
    effectiveGid,
  };
}
