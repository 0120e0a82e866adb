import { expect, test } from "bun:test";
import type { ContainerStats, StatsSample } from "../engine/container-stats.ts";
import { fixtureHost } from "./engine-fixture.ts";
import { formatStats } from "./stats-json.ts";

const CGROUP: StatsSample["cgroup"] = {
  cpu: {
    usageNanoseconds: 3000,
    userNanoseconds: 2000,
    systemNanoseconds: 1000,
    perCpuNanoseconds: [],
    periods: 5,
    throttledPeriods: 1,
    throttledNanoseconds: 9,
  },
  memory: {
    usageBytes: 100,
    maxUsageBytes: 200,
    limitBytes: Infinity,
    inactiveFileBytes: 10,
    oomKills: 0,
    failures: 2,
    stat: { cache: 1, total_cache: 2, anon: 3, inactive_file: 10, swap: 4 },
  },
  pids: { current: 3, limit: Infinity },
  io: [{ major: 254, minor: 0, readBytes: 10, writeBytes: 20, reads: 1, writes: 2 }],
  pressure: {},
};

function stats(more: Partial<ContainerStats> = {}): ContainerStats {
  const sample = { cpu: CGROUP.cpu, hostNanoseconds: 10_000, monotonicNano: 5n };
  return {
    id: "a".repeat(64),
    name: "web",
    now: { ...sample, readAt: "2026-11-24T08:00:01.000000001Z", cgroup: CGROUP, networks: {} },
    before: { ...sample, readAt: "2026-11-24T08:00:00.900000001Z", hostNanoseconds: 9000 },
    ...more,
  };
}

test("cgroup v2: docker's names, without what v2 does not count; no limit is the machine's memory", () => {
  const shown = formatStats(stats(), fixtureHost);
  expect(shown["read"]).toBe("2026-11-24T08:00:01.000000001Z");
  expect(shown["preread"]).toBe("2026-11-24T08:00:00.900000001Z");
  expect(shown["pids_stats"]).toEqual({ current: 3 });
  expect(shown["cpu_stats"]).toEqual({
    cpu_usage: { total_usage: 3000, usage_in_kernelmode: 1000, usage_in_usermode: 2000 },
    system_cpu_usage: 10_000,
    online_cpus: 2,
    throttling_data: { periods: 5, throttled_periods: 1, throttled_time: 9 },
  });
  expect(shown["memory_stats"]).toMatchObject({
    usage: 100,
    failcnt: 2,
    limit: fixtureHost.memoryBytes,
    stats: { anon: 3, inactive_file: 10, pgfault: 0 },
  });
  expect(shown["memory_stats"]).not.toHaveProperty("max_usage");
  expect(shown["blkio_stats"]).toMatchObject({
    io_service_bytes_recursive: [
      { major: 254, minor: 0, op: "read", value: 10 },
      { major: 254, minor: 0, op: "write", value: 20 },
    ],
    io_serviced_recursive: null,
  });
  expect(shown).not.toHaveProperty("networks");
});

test("cgroup v1: the peak, requests, and the counters of subgroups", () => {
  const shown = formatStats(stats(), { ...fixtureHost, cgroupVersion: 1 });
  expect(shown["memory_stats"]).toMatchObject({
    max_usage: 200,
    stats: { cache: 1, total_cache: 2, total_inactive_file: 0, hierarchical_memory_limit: 0 },
  });
  expect(shown["blkio_stats"]).toMatchObject({
    io_serviced_recursive: [
      { major: 254, minor: 0, op: "Read", value: 1 },
      { major: 254, minor: 0, op: "Write", value: 2 },
    ],
    sectors_recursive: [],
  });
});

test("a container that does not run has a name, and docker's zeros", () => {
  expect(formatStats({ id: "a".repeat(64), name: "web" }, fixtureHost)).toMatchObject({
    name: "/web",
    read: "0001-01-01T00:00:00Z",
    preread: "0001-01-01T00:00:00Z",
    pids_stats: {},
    memory_stats: {},
    cpu_stats: { cpu_usage: { total_usage: 0, usage_in_kernelmode: 0, usage_in_usermode: 0 } },
  });
});

test("pressure is told as the kernel tells it", () => {
  const line = { average10: 1.5, average60: 0.5, average300: 0.1, totalMicroseconds: 77 };
  const cgroup = { ...CGROUP, pressure: { cpu: { some: line, full: line } } };
  const { now } = stats();
  const shown = formatStats(stats({ ...(now && { now: { ...now, cgroup } }) }), fixtureHost);
  const told = { avg10: 1.5, avg60: 0.5, avg300: 0.1, total: 77 };
  expect(shown["pressure"]).toEqual({ cpu: { some: told, full: told } });
});
