import { kernelText } from "../kernel/kernel-text.ts";
import type { DriverPaths } from "./paths.ts";
import type { Controller } from "./write.ts";
import { oomKills } from "./memory.ts";

export interface CgroupCpu {
  readonly usageNanoseconds: number;
  readonly userNanoseconds: number;
  readonly systemNanoseconds: number;
  /** By CPU, where cpuacct counts the container (v1 alone); else empty. */
  readonly perCpuNanoseconds: readonly number[];
  /** Enforcement periods so far, those in which the group ran into its quota, and the time it then waited. */
  readonly periods: number;
  readonly throttledPeriods: number;
  readonly throttledNanoseconds: number;
}

export interface CgroupStats {
  readonly cpu: CgroupCpu;
  readonly memory: {
    readonly usageBytes: number;
    readonly maxUsageBytes: number;
    /** Infinity: no limit. */
    readonly limitBytes: number;
    /** Page cache that can go at once; docker's CLI subtracts it from the usage. */
    readonly inactiveFileBytes: number;
    readonly oomKills: number;
    /** How often the limit was hit: v1's memory.failcnt, v2's `oom` of memory.events. */
    readonly failures: number;
    /** memory.stat as the kernel has it. */
    readonly stat: Readonly<Record<string, number>>;
  };
  readonly pids: { readonly current: number; readonly limit: number };
  readonly io: readonly DeviceTraffic[];
  /** Pressure stall information (Documentation/accounting/psi.rst), where the kernel has it. */
  readonly pressure: Readonly<Partial<Record<"cpu" | "memory" | "io", Pressure>>>;
}

export interface DeviceTraffic {
  readonly major: number;
  readonly minor: number;
  readonly readBytes: number;
  readonly writeBytes: number;
  readonly reads: number;
  readonly writes: number;
}

/** Percent of time in which some, or all, tasks waited, over 10, 60 and 300 s; total in microseconds. */
export interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

export interface PressureLine {
  readonly average10: number;
  readonly average60: number;
  readonly average300: number;
  readonly totalMicroseconds: number;
}

/** Reads what the kernel counts for a container; what nobody counts is 0. */
export function readStats(paths: DriverPaths, containerId: string): CgroupStats {
  const { v1, v2 } = readers(paths, containerId);
  const isV2 = paths.layout.kind === "v2";
  return {
    cpu: readCpu(v2, v1),
    memory: isV2 ? readMemoryV2(v2) : readMemoryV1(v1("memory")),
    pids: readPids(isV2 ? v2 : v1("pids"), v2),
    io: isV2 ? parseIoV2(v2("io.stat")) : parseIoV1(v1("blkio")),
    pressure: readPressure(v2),
  };
}

/** CPU time alone: one file or two. */
export function readCpuStats(paths: DriverPaths, containerId: string): CgroupCpu {
  const { v1, v2 } = readers(paths, containerId);
  return readCpu(v2, v1);
}

type Reader = (file: string) => string;

interface Readers {
  readonly v2: Reader;
  readonly v1: (controller: Controller) => Reader;
}

function readers(paths: DriverPaths, containerId: string): Readers {
  return {
    v2: reader(paths.unified(containerId)),
    v1: (controller) => {
      const hierarchy = paths.hierarchy(controller);
      return reader(hierarchy === undefined ? undefined : paths.group(hierarchy, containerId));
    },
  };
}

/** Of a group that a container need not have: then, as of a file that the kernel lacks, it reads "". */
function reader(directory: string | undefined): Reader {
  if (directory === undefined) return () => "";
  // Pressure files fail with EOPNOTSUPP under psi=0, and any file when its group goes away meanwhile.
  return (file) => kernelText(`${directory}/${file}`);
}

/** Lines of `name number`. */
export function parseFlatKeyed(text: string): Record<string, number> {
  const values: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const [name, value] = line.split(" ");
    if (name && value !== undefined) values[name] = Number(value);
  }
  return values;
}

function readCpu(v2: Reader, v1: Readers["v1"]): CgroupCpu {
  const stat = parseFlatKeyed(v2("cpu.stat"));
  const v1Stat = parseFlatKeyed(v1("cpu")("cpu.stat"));
  const accounts = v1("cpuacct");
  const ticks = parseFlatKeyed(accounts("cpuacct.stat"));
  const micro = (name: string): number => (stat[name] ?? 0) * 1000;
  // USER_HZ is 100 on every architecture that matters.
  const tick = (name: string): number => (ticks[name] ?? 0) * 10_000_000;
  return {
    usageNanoseconds: micro("usage_usec") || Number(accounts("cpuacct.usage")),
    userNanoseconds: micro("user_usec") || tick("user"),
    systemNanoseconds: micro("system_usec") || tick("system"),
    perCpuNanoseconds: accounts("cpuacct.usage_percpu").split(/\s+/).filter(Boolean).map(Number),
    periods: v1Stat["nr_periods"] ?? stat["nr_periods"] ?? 0,
    throttledPeriods: v1Stat["nr_throttled"] ?? stat["nr_throttled"] ?? 0,
    throttledNanoseconds: v1Stat["throttled_time"] ?? micro("throttled_usec"),
  };
}

/** v1 writes "no limit" as the largest page-aligned number. */
const UNLIMITED_V1 = 0x7fff_0000_0000_0000;

function limitOf(text: string): number {
  const limit = text.trim() === "" || text.trim() === "max" ? Infinity : Number(text);
  return limit >= UNLIMITED_V1 ? Infinity : limit;
}

function readMemoryV1(read: Reader): CgroupStats["memory"] {
  const stat = parseFlatKeyed(read("memory.stat"));
  return {
    usageBytes: Number(read("memory.usage_in_bytes")),
    maxUsageBytes: Number(read("memory.max_usage_in_bytes")),
    limitBytes: limitOf(read("memory.limit_in_bytes")),
    inactiveFileBytes: stat["total_inactive_file"] ?? 0,
    oomKills: oomKills(read("memory.oom_control")),
    failures: Number(read("memory.failcnt")),
    stat,
  };
}

function readMemoryV2(read: Reader): CgroupStats["memory"] {
  const events = read("memory.events");
  const stat = parseFlatKeyed(read("memory.stat"));
  return {
    usageBytes: Number(read("memory.current")),
    maxUsageBytes: Number(read("memory.peak")),
    limitBytes: limitOf(read("memory.max")),
    inactiveFileBytes: stat["inactive_file"] ?? 0,
    oomKills: oomKills(events),
    failures: parseFlatKeyed(events)["oom"] ?? 0,
    stat,
  };
}

function readPids(read: Reader, v2: Reader): CgroupStats["pids"] {
  const current = read("pids.current");
  return {
    current:
      current === "" ? v2("cgroup.threads").split("\n").filter(Boolean).length : Number(current),
    limit: limitOf(read("pids.max")),
  };
}

/** io.stat: `254:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0`. */
export function parseIoV2(text: string): DeviceTraffic[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [device = "", ...pairs] = line.split(" ");
      const values = new Map(pairs.map((pair) => pair.split("=") as [string, string]));
      const value = (name: string): number => Number(values.get(name) ?? 0);
      return {
        ...deviceOf(device),
        readBytes: value("rbytes"),
        writeBytes: value("wbytes"),
        reads: value("rios"),
        writes: value("wios"),
      };
    });
}

/** `254:0 Read 1` lines of blkio.throttle.io_service_bytes and io_serviced, the container's own subgroups included. */
function parseIoV1(read: Reader): DeviceTraffic[] {
  const devices = new Map<string, Record<string, number>>();
  for (const file of ["io_service_bytes", "io_serviced"]) {
    for (const line of read(`blkio.throttle.${file}_recursive`).split("\n")) {
      const [device, kind, value] = line.split(" ");
      if (device === undefined || kind === undefined || value === undefined) continue;
      const values = devices.get(device) ?? {};
      values[`${file} ${kind}`] = Number(value);
      devices.set(device, values);
    }
  }
  return [...devices].map(([device, values]) => ({
    ...deviceOf(device),
    readBytes: values["io_service_bytes Read"] ?? 0,
    writeBytes: values["io_service_bytes Write"] ?? 0,
    reads: values["io_serviced Read"] ?? 0,
    writes: values["io_serviced Write"] ?? 0,
  }));
}

function deviceOf(text: string): { major: number; minor: number } {
  const [major = 0, minor = 0] = text.split(":").map(Number);
  return { major, minor };
}

function readPressure(read: Reader): CgroupStats["pressure"] {
  const pressure: Partial<Record<"cpu" | "memory" | "io", Pressure>> = {};
  for (const name of ["cpu", "memory", "io"] as const) {
    const text = read(`${name}.pressure`);
    if (text !== "") pressure[name] = parsePressure(text);
  }
  return pressure;
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full` (missing for cpu on older kernels). */
export function parsePressure(text: string): Pressure {
  const lines = { some: NO_PRESSURE, full: NO_PRESSURE };
  for (const line of text.split("\n")) {
    const [name, ...values] = line.split(" ");
    if (name !== "some" && name !== "full") continue;
    const [average10, average60, average300, totalMicroseconds] = values.map((value) =>
      Number(value.slice(value.indexOf("=") + 1)),
    );
    lines[name] = {
      average10: average10 ?? 0,
      average60: average60 ?? 0,
      average300: average300 ?? 0,
      totalMicroseconds: totalMicroseconds ?? 0,
    };
  }
  return lines;
}

const NO_PRESSURE: PressureLine = {
  average10: 0,
  average60: 0,
  average300: 0,
  totalMicroseconds: 0,
};
