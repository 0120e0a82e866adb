import type { ContainerStats, CpuSample, StatsSample } from "../engine/container-stats.ts";
import type { HostFacts } from "../engine/engine.ts";
import type { InterfaceTraffic } from "../engine/interface-traffic.ts";
import { neverTime } from "./docker-time.ts";

type Cgroup = StatsSample["cgroup"];
type DeviceTraffic = Cgroup["io"][number];
type Pressure = NonNullable<Cgroup["pressure"]["cpu"]>;

/** Docker's `StatsResponse`, with `pressure` of ours; of a container that does not run, with nothing but zeros. */
export function formatStats(stats: ContainerStats, host: HostFacts): Record<string, unknown> {
  const { now, before } = stats;
  return {
    name: `/${stats.name}`,
    id: stats.id,
    read: now?.readAt ?? neverTime,
    preread: before?.readAt ?? neverTime,
    pids_stats: now === undefined ? {} : formatPids(now.cgroup.pids),
    blkio_stats: formatBlockTraffic(now?.cgroup.io, host),
    num_procs: 0,
    storage_stats: {},
    cpu_stats: formatCpu(now, host),
    precpu_stats: formatCpu(before, host),
    memory_stats: now === undefined ? {} : formatMemory(now.cgroup.memory, host),
    ...formatNetworks(now),
    ...(now && { pressure: formatPressure(now.cgroup.pressure) }),
  };
}

/** No limit is an absent one. */
function formatPids({ current, limit }: Cgroup["pids"]): Record<string, number> {
  return { current, ...(Number.isFinite(limit) && { limit }) };
}

function formatCpu(sample: CpuSample | undefined, host: HostFacts): Record<string, unknown> {
  const cpu = sample?.cpu;
  return {
    cpu_usage: formatUsage(cpu),
    ...(sample && { system_cpu_usage: sample.hostNanoseconds, online_cpus: host.cpus }),
    throttling_data: {
      periods: cpu?.periods ?? 0,
      throttled_periods: cpu?.throttledPeriods ?? 0,
      throttled_time: cpu?.throttledNanoseconds ?? 0,
    },
  };
}

function formatUsage(cpu: Cgroup["cpu"] | undefined): Record<string, unknown> {
  const perCpu = cpu?.perCpuNanoseconds ?? [];
  return {
    total_usage: cpu?.usageNanoseconds ?? 0,
    ...(perCpu.length > 0 && { percpu_usage: perCpu }),
    usage_in_kernelmode: cpu?.systemNanoseconds ?? 0,
    usage_in_usermode: cpu?.userNanoseconds ?? 0,
  };
}

/** v1's lines of memory.stat that docker passes on; all but the two limits also with `total_`. */
const MEMORY_STATS_V1 =
  "cache rss rss_huge mapped_file dirty writeback pgpgin pgpgout pgfault pgmajfault inactive_anon active_anon inactive_file active_file unevictable".split(
    " ",
  );
const MEMORY_STATS_V2 =
  "anon file kernel_stack slab sock shmem file_mapped file_dirty file_writeback anon_thp inactive_anon active_anon inactive_file active_file unevictable slab_reclaimable slab_unreclaimable pgfault pgmajfault workingset_refault workingset_activate workingset_nodereclaim pgrefill pgscan pgsteal pgactivate pgdeactivate pglazyfree pglazyfreed thp_fault_alloc thp_collapse_alloc".split(
    " ",
  );

/** The machine's memory is the limit of a container without one. Zeros are absent, as in docker. */
function formatMemory(memory: Cgroup["memory"], host: HostFacts): Record<string, unknown> {
  const isV1 = host.cgroupVersion === 1;
  const names = isV1
    ? [
        ...MEMORY_STATS_V1,
        "hierarchical_memory_limit",
        "hierarchical_memsw_limit",
        ...MEMORY_STATS_V1.map((name) => `total_${name}`),
      ]
    : MEMORY_STATS_V2;
  return {
    ...unlessZero("usage", memory.usageBytes),
    ...unlessZero("max_usage", isV1 ? memory.maxUsageBytes : 0),
    stats: Object.fromEntries(names.map((name) => [name, memory.stat[name] ?? 0])),
    ...unlessZero("failcnt", memory.failures),
    limit: Math.min(memory.limitBytes, host.memoryBytes),
  };
}

function unlessZero(name: string, value: number): Record<string, number> {
  return value === 0 ? {} : { [name]: value };
}

interface BlockEntry {
  readonly major: number;
  readonly minor: number;
  readonly op: string;
  readonly value: number;
}

/** v1 also counts requests; what nobody counts is empty there and null on v2. */
function formatBlockTraffic(
  devices: readonly DeviceTraffic[] | undefined,
  host: HostFacts,
): Record<string, BlockEntry[] | null> {
  const isV1 = host.cgroupVersion === 1;
  const [read, write] = isV1 ? ["Read", "Write"] : ["read", "write"];
  const entries = (
    counts: (device: DeviceTraffic) => readonly [read: number, write: number],
  ): BlockEntry[] | null =>
    devices === undefined || (!isV1 && devices.length === 0)
      ? null
      : devices.flatMap((device) => {
          const { major, minor } = device;
          const [reads, writes] = counts(device);
          return [
            { major, minor, op: read ?? "", value: reads },
            { major, minor, op: write ?? "", value: writes },
          ];
        });
  const none = devices !== undefined && isV1 ? [] : null;
  return {
    io_service_bytes_recursive: entries(({ readBytes, writeBytes }) => [readBytes, writeBytes]),
    io_serviced_recursive: isV1 ? entries(({ reads, writes }) => [reads, writes]) : null,
    io_queue_recursive: none,
    io_service_time_recursive: none,
    io_wait_time_recursive: none,
    io_merged_recursive: none,
    io_time_recursive: none,
    sectors_recursive: none,
  };
}

function formatNetworks(now: StatsSample | undefined): { networks?: Record<string, object> } {
  const networks = Object.entries(now?.networks ?? {});
  if (networks.length === 0) return {};
  return {
    networks: Object.fromEntries(networks.map(([name, traffic]) => [name, formatTraffic(traffic)])),
  };
}

function formatTraffic(traffic: InterfaceTraffic): object {
  return {
    rx_bytes: traffic.receivedBytes,
    rx_packets: traffic.receivedPackets,
    rx_errors: traffic.receiveErrors,
    rx_dropped: traffic.receiveDropped,
    tx_bytes: traffic.sentBytes,
    tx_packets: traffic.sentPackets,
    tx_errors: traffic.sendErrors,
    tx_dropped: traffic.sendDropped,
  };
}

/** The kernel's names (Documentation/accounting/psi.rst): averages in percent, `total` in microseconds. */
function formatPressure(pressure: Cgroup["pressure"]): Record<string, object> {
  const line = ({ average10, average60, average300, totalMicroseconds }: Pressure["some"]) => ({
    avg10: average10,
    avg60: average60,
    avg300: average300,
    total: totalMicroseconds,
  });
  return Object.fromEntries(
    Object.entries(pressure).map(([name, { some, full }]) => [
      name,
      { some: line(some), full: line(full) },
    ]),
  );
}
