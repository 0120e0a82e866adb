import type { Fields } from "./inspected-settings.ts";
import { each, option, toggle } from "./words.ts";

/** Limits and devices as `run` takes them. */
export function resourceWords(host: Fields): string[] {
  const [memory, total] = [host.number("Memory"), host.number("MemorySwap")];
  const swappiness = host.number("MemorySwappiness");
  const isSwappinessSet = host.isSet("MemorySwappiness") && swappiness !== -1;
  return [
    ...option("memory", memory),
    // As much swap as memory is what the engine makes of a memory limit alone.
    ...(total === 2 * memory ? [] : option("memory-swap", total)),
    ...option("memory-reservation", host.number("MemoryReservation")),
    ...(isSwappinessSet ? [`--memory-swappiness=${swappiness}`] : []),
    ...toggle("oom-kill-disable", host.flag("OomKillDisable")),
    ...option("oom-score-adj", host.number("OomScoreAdj")),
    ...option("cpus", host.number("NanoCpus") / 1e9),
    ...option("cpu-shares", host.number("CpuShares")),
    ...option("cpu-period", host.number("CpuPeriod")),
    ...option("cpu-quota", host.number("CpuQuota")),
    ...option("cpu-rt-period", host.number("CpuRealtimePeriod")),
    ...option("cpu-rt-runtime", host.number("CpuRealtimeRuntime")),
    ...option("cpuset-cpus", host.text("CpusetCpus")),
    ...option("cpuset-mems", host.text("CpusetMems")),
    ...option("pids-limit", host.number("PidsLimit")),
    ...option("cgroup-parent", host.text("CgroupParent")),
    ...blockWords(host),
    ...each("device", host.objects("Devices").map(deviceWord)),
    ...each("device-cgroup-rule", host.list("DeviceCgroupRules")),
    ...each("ulimit", host.objects("Ulimits").map(ulimitWord)),
  ];
}

function blockWords(host: Fields): string[] {
  const rates = [
    ["device-read-bps", "BlkioDeviceReadBps"],
    ["device-write-bps", "BlkioDeviceWriteBps"],
    ["device-read-iops", "BlkioDeviceReadIOps"],
    ["device-write-iops", "BlkioDeviceWriteIOps"],
  ] as const;
  return [
    ...option("blkio-weight", host.number("BlkioWeight")),
    ...each(
      "blkio-weight-device",
      host
        .objects("BlkioWeightDevice")
        .map((device) => `${device.text("Path")}:${device.number("Weight")}`),
    ),
    ...rates.flatMap(([name, field]) =>
      each(
        name,
        host.objects(field).map((device) => `${device.text("Path")}:${device.number("Rate")}`),
      ),
    ),
  ];
}

function deviceWord(device: Fields): string {
  return ["PathOnHost", "PathInContainer", "CgroupPermissions"]
    .map((name) => device.text(name))
    .join(":");
}

function ulimitWord(ulimit: Fields): string {
  return `${ulimit.text("Name")}=${ulimit.number("Soft")}:${ulimit.number("Hard")}`;
}
