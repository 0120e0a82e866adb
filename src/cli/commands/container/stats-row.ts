import { binarySize, humanSize } from "../../../base/size.ts";
import type { Listing, Row } from "../../listing.ts";

interface CpuStats {
  readonly cpu_usage?: { readonly total_usage?: number | bigint };
  readonly system_cpu_usage?: number | bigint;
  readonly online_cpus?: number;
}

interface PressureLine {
  readonly avg10: number;
  /** Microseconds. */
  readonly total: number;
}

interface Pressure {
  readonly some: PressureLine;
  readonly full: PressureLine;
}

/** What is used here of an answer of GET /containers/{name}/stats. */
export interface ContainerStats {
  readonly name: string;
  readonly id: string;
  readonly pids_stats?: { readonly current?: number };
  readonly blkio_stats?: {
    readonly io_service_bytes_recursive?: readonly { op: string; value: number }[] | null;
  };
  readonly cpu_stats?: CpuStats;
  readonly precpu_stats?: CpuStats;
  readonly memory_stats?: {
    readonly usage?: number;
    readonly limit?: number;
    readonly stats?: Readonly<Record<string, number>>;
  };
  readonly networks?: Readonly<Record<string, { rx_bytes: number; tx_bytes: number }>>;
  readonly pressure?: Readonly<Partial<Record<"cpu" | "memory" | "io", Pressure>>>;
}

const HEADERS = {
  Container: "CONTAINER",
  Name: "NAME",
  ID: "CONTAINER ID",
  CPUPerc: "CPU %",
  MemUsage: "MEM USAGE / LIMIT",
  MemPerc: "MEM %",
  NetIO: "NET I/O",
  BlockIO: "BLOCK I/O",
  PIDs: "PIDS",
  CPUPressure: "CPU PRESSURE",
  MemPressure: "MEM PRESSURE",
  IOPressure: "I/O PRESSURE",
  CPUStall: "CPU STALLED",
  MemStall: "MEM STALLED",
  IOStall: "I/O STALLED",
};

export const STATS_LISTING: Listing = {
  headers: HEADERS,
  columns: ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
  raw: [],
};

/** `stats --pressure`: what the containers had to wait for. */
export const PRESSURE_LISTING: Listing = {
  headers: HEADERS,
  columns: [
    "ID",
    "Name",
    "CPUPerc",
    "MemUsage",
    "CPUPressure",
    "CPUStall",
    "MemPressure",
    "MemStall",
    "IOPressure",
    "IOStall",
  ],
  raw: [],
};

const SHORT_ID = 12;

/** docker's fields, and pressure. @param asked how the user named the container */
export function statsRow(stats: ContainerStats, asked: string, truncate: boolean): Row {
  const memory = stats.memory_stats ?? {};
  const used = usedMemory(memory);
  const { limit = 0 } = memory;
  const sizes = (one: number, other: number): string =>
    `${humanSize(one, 3)} / ${humanSize(other, 3)}`;
  return {
    BlockIO: () => sizes(blockBytes(stats, "r"), blockBytes(stats, "w")),
    CPUPerc: () => percent(cpuPercent(stats)),
    Container: () => asked,
    ID: () => (truncate ? stats.id.slice(0, SHORT_ID) : stats.id),
    MemPerc: () => percent(limit === 0 ? 0 : (used / limit) * 100),
    MemUsage: () => `${binarySize(used)} / ${binarySize(limit)}`,
    Name: () => stats.name.replace(/^\//, "") || "--",
    NetIO: () => sizes(networkBytes(stats, "rx_bytes"), networkBytes(stats, "tx_bytes")),
    PIDs: () => String(stats.pids_stats?.current ?? 0),
    CPUPressure: () => pressureText(stats.pressure?.cpu),
    CPUStall: () => stallText(stats.pressure?.cpu),
    MemPressure: () => pressureText(stats.pressure?.memory),
    MemStall: () => stallText(stats.pressure?.memory),
    IOPressure: () => pressureText(stats.pressure?.io),
    IOStall: () => stallText(stats.pressure?.io),
  };
}

/** Percent of one CPU between the two samples. */
export function cpuPercent({ cpu_stats: now, precpu_stats: before }: ContainerStats): number {
  // The host's nanoseconds come as a bigint when there are many.
  const since = (read: (stats: CpuStats | undefined) => number | bigint | undefined): number =>
    Number(read(now) ?? 0) - Number(read(before) ?? 0);
  const used = since((stats) => stats?.cpu_usage?.total_usage);
  const host = since((stats) => stats?.system_cpu_usage);
  return used > 0 && host > 0 ? (used / host) * (now?.online_cpus ?? 0) * 100 : 0;
}

/** Without the page cache that can go at once, as docker counts it. */
function usedMemory({
  usage = 0,
  stats = {},
}: NonNullable<ContainerStats["memory_stats"]>): number {
  const inactive = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return inactive < usage ? usage - inactive : usage;
}

function blockBytes({ blkio_stats: block }: ContainerStats, letter: "r" | "w"): number {
  return (block?.io_service_bytes_recursive ?? [])
    .filter(({ op }) => op.toLowerCase().startsWith(letter))
    .reduce((sum, { value }) => sum + value, 0);
}

function networkBytes(
  { networks = {} }: ContainerStats,
  direction: "rx_bytes" | "tx_bytes",
): number {
  return Object.values(networks).reduce((sum, traffic) => sum + traffic[direction], 0);
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}

/** Part of the last 10 s in which some / all of its processes waited. */
function pressureText(pressure: Pressure | undefined): string {
  if (pressure === undefined) return "--";
  return `${percent(pressure.some.avg10)} / ${percent(pressure.full.avg10)}`;
}

/** How long some process has waited since the container's start. */
function stallText(pressure: Pressure | undefined): string {
  if (pressure === undefined) return "--";
  const seconds = pressure.some.total / 1e6;
  return seconds < 1 ? `${Math.round(seconds * 1000)}ms` : `${seconds.toFixed(1)}s`;
}
