import { parseBinarySize } from "../../base/size.ts";
import { collect, type Flag, integer, list, parsed, text, toggle } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import {
  checkDeviceRule,
  readCpus,
  readDevicePair,
  readUlimit,
  type UlimitValue,
} from "./checks.ts";
import { isCdiName, parseDevice } from "./device.ts";

const bytes = { type: "bytes", initial: 0, parse: parseBinarySize };
const swapBytes = {
  type: "bytes",
  initial: 0,
  parse: (value: string): number => (value === "-1" ? -1 : parseBinarySize(value)),
};

/** A path and a rate, as HostConfig takes it. */
interface DeviceRate {
  readonly Path: string;
  readonly Rate: number;
}

function rates(
  name: string,
  help: string,
  read: (value: string) => number | undefined,
  format: string,
): Flag<readonly DeviceRate[]> {
  return collect(name, help, {
    type: "list",
    shownDefault: "[]",
    parse: (value): DeviceRate => {
      const { path, text: rate } = readDevicePair(value);
      const Rate = read(rate);
      if (Rate === undefined) {
        throw new Error(`invalid rate for device: ${value}. The correct format is ${format}`);
      }
      return { Path: path, Rate };
    },
  });
}

const BYTES_FORMAT =
  "<device-path>:<number>[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb";
const OPERATIONS_FORMAT = "<device-path>:<number>. Number must be a positive integer";

function byteRates(name: string, help: string): Flag<readonly DeviceRate[]> {
  return rates(name, help, byteRate, BYTES_FORMAT);
}

function operationRates(name: string, help: string): Flag<readonly DeviceRate[]> {
  const read = (value: string): number | undefined =>
    /^\d+$/.test(value) ? Number(value) : undefined;
  return rates(name, help, read, OPERATIONS_FORMAT);
}

function byteRate(value: string): number | undefined {
  try {
    return parseBinarySize(value);
  } catch {
    // The message that names the format says more.
    return undefined;
  }
}

function deviceWeight(value: string): { Path: string; Weight: number } {
  const { path, text: weight } = readDevicePair(value);
  const isWeight =
    /^\d+$/.test(weight) && (weight === "0" || (Number(weight) >= 10 && Number(weight) <= 1000));
  if (!isWeight) throw new Error(`invalid weight for device: ${value}`);
  return { Path: path, Weight: Number(weight) };
}

const FLAGS = {
  blkioWeight: integer(
    "blkio-weight",
    "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)",
    { type: "uint16" },
  ),
  blkioWeightDevice: collect("blkio-weight-device", "Block IO weight (relative device weight)", {
    type: "list",
    shownDefault: "[]",
    parse: deviceWeight,
  }),
  cpuCount: integer("cpu-count", "CPU count (Windows only)", { hidden: true }),
  cpuPercent: integer("cpu-percent", "CPU percent (Windows only)", { hidden: true }),
  cpuPeriod: integer("cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period"),
  cpuQuota: integer("cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota"),
  cpuRtPeriod: integer("cpu-rt-period", "Limit CPU real-time period in microseconds"),
  cpuRtRuntime: integer("cpu-rt-runtime", "Limit CPU real-time runtime in microseconds"),
  cpuShares: integer("cpu-shares", "CPU shares (relative weight)", { short: "c" }),
  cpus: parsed("cpus", "Number of CPUs", { type: "decimal", initial: 0, parse: readCpus }),
  cpusetCpus: text("cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)"),
  cpusetMems: text("cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)"),
  device: list("device", "Add a host device to the container"),
  deviceCgroupRule: list("device-cgroup-rule", "Add a rule to the cgroup allowed devices list", {
    check: checkDeviceRule,
  }),
  deviceReadBps: byteRates("device-read-bps", "Limit read rate (bytes per second) from a device"),
  deviceReadIops: operationRates(
    "device-read-iops",
    "Limit read rate (IO per second) from a device",
  ),
  deviceWriteBps: byteRates("device-write-bps", "Limit write rate (bytes per second) to a device"),
  deviceWriteIops: operationRates(
    "device-write-iops",
    "Limit write rate (IO per second) to a device",
  ),
  gpus: list("gpus", "GPU devices to add to the container ('all' to pass all GPUs)", {
    type: "gpu-request",
  }),
  ioMaxBandwidth: parsed(
    "io-maxbandwidth",
    "Maximum IO bandwidth limit for the system drive (Windows only)",
    bytes,
    { hidden: true },
  ),
  ioMaxIops: integer("io-maxiops", "Maximum IOps limit for the system drive (Windows only)", {
    type: "uint",
    hidden: true,
  }),
  kernelMemory: parsed("kernel-memory", "Kernel memory limit", bytes),
  memory: parsed("memory", "Memory limit", bytes, { short: "m" }),
  memoryReservation: parsed("memory-reservation", "Memory soft limit", bytes),
  memorySwap: parsed(
    "memory-swap",
    "Swap limit equal to memory plus swap: '-1' to enable unlimited swap",
    swapBytes,
  ),
  memorySwappiness: integer("memory-swappiness", "Tune container memory swappiness (0 to 100)", {
    initial: -1,
  }),
  oomKillDisable: toggle("oom-kill-disable", "Disable OOM Killer"),
  oomScoreAdj: integer("oom-score-adj", "Tune host's OOM preferences (-1000 to 1000)"),
  pidsLimit: integer("pids-limit", "Tune container pids limit (set -1 for unlimited)"),
  ulimit: collect<UlimitValue>("ulimit", "Ulimit options", {
    type: "ulimit",
    parse: readUlimit,
    shownDefault: "[]",
  }),
} as const;

/** The options about limits and devices. */
export const RESOURCE_FLAGS: readonly Flag[] = Object.values(FLAGS) as readonly Flag[];

/** Those that `update` changes. */
export const CHANGEABLE_FLAGS: readonly Flag[] = [
  FLAGS.blkioWeight,
  FLAGS.cpuPeriod,
  FLAGS.cpuQuota,
  FLAGS.cpuRtPeriod,
  FLAGS.cpuRtRuntime,
  FLAGS.cpuShares,
  FLAGS.cpus,
  FLAGS.cpusetCpus,
  FLAGS.cpusetMems,
  FLAGS.memory,
  FLAGS.memoryReservation,
  FLAGS.memorySwap,
  FLAGS.pidsLimit,
] as readonly Flag[];

/** Their values, as an update's body takes them: zero and "" change nothing. */
export function changedResources(given: Arguments): Record<string, unknown> {
  return {
    BlkioWeight: given.get(FLAGS.blkioWeight),
    ...cpuConfig(given),
    Memory: given.get(FLAGS.memory),
    MemoryReservation: given.get(FLAGS.memoryReservation),
    MemorySwap: given.get(FLAGS.memorySwap),
    ...(given.has(FLAGS.pidsLimit) ? { PidsLimit: given.get(FLAGS.pidsLimit) } : {}),
  };
}

/** Their part of HostConfig. @throws in docker's words */
export function resourceConfig(given: Arguments): Record<string, unknown> {
  const swappiness = given.get(FLAGS.memorySwappiness);
  if (swappiness !== -1 && (swappiness < 0 || swappiness > 100)) {
    throw new Error(`invalid value: ${swappiness}. Valid memory swappiness range is 0-100`);
  }
  const kernelMemory = given.get(FLAGS.kernelMemory);
  return {
    ...cpuConfig(given),
    ...blockConfig(given),
    ...deviceConfig(given),
    Memory: given.get(FLAGS.memory),
    MemoryReservation: given.get(FLAGS.memoryReservation),
    MemorySwap: given.get(FLAGS.memorySwap),
    MemorySwappiness: swappiness,
    ...(kernelMemory === 0 ? {} : { KernelMemory: kernelMemory }),
    OomKillDisable: given.get(FLAGS.oomKillDisable),
    OomScoreAdj: given.get(FLAGS.oomScoreAdj),
    PidsLimit: given.get(FLAGS.pidsLimit),
    Ulimits: ulimits(given.get(FLAGS.ulimit)),
  };
}

function cpuConfig(given: Arguments): Record<string, unknown> {
  return {
    CpuShares: given.get(FLAGS.cpuShares),
    NanoCpus: given.get(FLAGS.cpus),
    CpuPeriod: given.get(FLAGS.cpuPeriod),
    CpuQuota: given.get(FLAGS.cpuQuota),
    CpuRealtimePeriod: given.get(FLAGS.cpuRtPeriod),
    CpuRealtimeRuntime: given.get(FLAGS.cpuRtRuntime),
    CpusetCpus: given.get(FLAGS.cpusetCpus),
    CpusetMems: given.get(FLAGS.cpusetMems),
    CpuCount: given.get(FLAGS.cpuCount),
    CpuPercent: given.get(FLAGS.cpuPercent),
  };
}

function blockConfig(given: Arguments): Record<string, unknown> {
  return {
    BlkioWeight: given.get(FLAGS.blkioWeight),
    BlkioWeightDevice: given.get(FLAGS.blkioWeightDevice),
    BlkioDeviceReadBps: given.get(FLAGS.deviceReadBps),
    BlkioDeviceWriteBps: given.get(FLAGS.deviceWriteBps),
    BlkioDeviceReadIOps: given.get(FLAGS.deviceReadIops),
    BlkioDeviceWriteIOps: given.get(FLAGS.deviceWriteIops),
    IOMaximumIOps: given.get(FLAGS.ioMaxIops),
    IOMaximumBandwidth: given.get(FLAGS.ioMaxBandwidth),
  };
}

function deviceConfig(given: Arguments): Record<string, unknown> {
  const devices = given.get(FLAGS.device);
  const rules = given.get(FLAGS.deviceCgroupRule);
  const requests = deviceRequests(devices.filter(isCdiName), given.get(FLAGS.gpus));
  return {
    Devices: devices.filter((device) => !isCdiName(device)).map(parseDevice),
    DeviceCgroupRules: rules.length === 0 ? null : rules,
    DeviceRequests: requests.length === 0 ? null : requests,
  };
}

function deviceRequests(cdiNames: readonly string[], gpus: readonly string[]): unknown[] {
  const requests: unknown[] = gpus.map((gpu) => ({
    Driver: "",
    Count: gpu === "all" ? -1 : Number(gpu.replace(/^count=/, "")) || 0,
    DeviceIDs: null,
    Capabilities: [["gpu"]],
    Options: {},
  }));
  if (cdiNames.length > 0) requests.push({ Driver: "cdi", DeviceIDs: cdiNames });
  return requests;
}

/** The last one of a name wins, and they go sorted by name. */
function ulimits(given: readonly UlimitValue[]): UlimitValue[] {
  const byName = new Map(given.map((ulimit) => [ulimit.Name, ulimit]));
  return [...byName.values()].sort((a, b) => (a.Name < b.Name ? -1 : 1));
}
