import { expect, test } from "bun:test";
import { type ContainerStats, cpuPercent, statsRow } from "./stats-row.ts";

const line = (avg10: number, total: number) => ({ avg10, total });

const STATS: ContainerStats = {
  name: "/web",
  id: "0123456789abcdef",
  pids_stats: { current: 7 },
  blkio_stats: {
    io_service_bytes_recursive: [
      { op: "Read", value: 1000 },
      { op: "write", value: 2_000_000 },
      { op: "Total", value: 5 },
    ],
  },
  cpu_stats: { cpu_usage: { total_usage: 1_500 }, system_cpu_usage: 12_000, online_cpus: 4 },
  precpu_stats: { cpu_usage: { total_usage: 1_000 }, system_cpu_usage: 10_000 },
  memory_stats: { usage: 3 * 1024 ** 2, limit: 8 * 1024 ** 2, stats: { inactive_file: 1024 ** 2 } },
  networks: { eth0: { rx_bytes: 10, tx_bytes: 20 }, eth1: { rx_bytes: 1, tx_bytes: 2 } },
  pressure: {
    cpu: { some: line(12.5, 1_250_000), full: line(0.25, 1) },
    io: { some: line(0, 1500), full: line(0, 0) },
  },
};

const shown = (stats: ContainerStats, field: string): unknown =>
  statsRow(stats, "asked", true)[field]?.();

test("CPU is the share of one CPU's time between the two samples", () => {
  expect(cpuPercent(STATS)).toBe(100);
  expect(cpuPercent({ ...STATS, precpu_stats: STATS.cpu_stats ?? {} })).toBe(0);
  const many = 2n ** 60n;
  const cpu_stats = { ...STATS.cpu_stats, system_cpu_usage: many + 2n ** 20n };
  const precpu_stats = { ...STATS.precpu_stats, system_cpu_usage: many };
  expect(cpuPercent({ ...STATS, cpu_stats, precpu_stats })).toBeCloseTo(0.19, 2);
});

test("a row shows what docker shows", () => {
  expect(shown(STATS, "ID")).toBe("0123456789ab");
  expect(statsRow(STATS, "asked", false)["ID"]?.()).toBe("0123456789abcdef");
  expect(shown(STATS, "Container")).toBe("asked");
  expect(shown(STATS, "Name")).toBe("web");
  expect(shown(STATS, "MemUsage")).toBe("2MiB / 8MiB");
  expect(shown(STATS, "MemPerc")).toBe("25.00%");
  expect(shown(STATS, "BlockIO")).toBe("1kB / 2MB");
  expect(shown(STATS, "NetIO")).toBe("11B / 22B");
  expect(shown(STATS, "PIDs")).toBe("7");
});

test("pressure tells the part of the time and the time in all; what the kernel does not tell is --", () => {
  expect(shown(STATS, "CPUPressure")).toBe("12.50% / 0.25%");
  expect(shown(STATS, "CPUStall")).toBe("1.3s");
  expect(shown(STATS, "IOStall")).toBe("2ms");
  expect(shown(STATS, "MemPressure")).toBe("--");
  expect(shown(STATS, "MemStall")).toBe("--");
});

test("a container that does not run uses nothing", () => {
  const stopped: ContainerStats = { name: "/web", id: "0123456789abcdef" };
  expect(shown(stopped, "CPUPerc")).toBe("0.00%");
  expect(shown(stopped, "MemUsage")).toBe("0B / 0B");
  expect(shown(stopped, "BlockIO")).toBe("0B / 0B");
});
