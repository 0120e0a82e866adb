import type { ContainerSpec, DeviceSpec } from "../engine/types.ts";
import { type ApiVersion, isAtLeast } from "./api-version.ts";
import type { JsonObject } from "./json-object.ts";

type Resources = ContainerSpec["resources"];
type DeviceRate = NonNullable<Resources["blkioReadBps"]>[number];

/** The limits of a HostConfig; the engine checks them. Docker's zero is no limit and becomes an absent field. */
export function readResources(hostConfig: JsonObject): Resources {
  const swappiness = hostConfig.integerOrNull("MemorySwappiness");
  return {
    ...unlessZero("memoryBytes", hostConfig.integer("Memory")),
    ...unlessZero("memorySwapBytes", hostConfig.integer("MemorySwap")),
    ...unlessZero("memoryReservationBytes", hostConfig.integer("MemoryReservation")),
    ...(swappiness === null || swappiness === -1 ? {} : { memorySwappiness: swappiness }),
    ...unlessZero("nanoCpus", hostConfig.integer("NanoCpus")),
    ...unlessZero("cpuPeriodMicroseconds", hostConfig.integer("CpuPeriod")),
    ...unlessZero("cpuQuotaMicroseconds", hostConfig.integer("CpuQuota")),
    ...unlessZero("cpuShares", hostConfig.integer("CpuShares")),
    ...unlessEmpty("cpusetCpus", hostConfig.string("CpusetCpus")),
    ...unlessEmpty("cpusetMems", hostConfig.string("CpusetMems")),
    ...unlessZero("pidsLimit", hostConfig.integer("PidsLimit")),
    ...unlessZero("cpuRealtimePeriodMicroseconds", hostConfig.integer("CpuRealtimePeriod")),
    ...unlessZero("cpuRealtimeRuntimeMicroseconds", hostConfig.integer("CpuRealtimeRuntime")),
    ...(hostConfig.raw("OomKillDisable") === null
      ? {}
      : { oomKillDisable: hostConfig.boolean("OomKillDisable") }),
    ...readBlkio(hostConfig),
  };
}

function readBlkio(hostConfig: JsonObject): Resources {
  const rates = (name: string): DeviceRate[] =>
    hostConfig
      .objects(name)
      .map((device) => ({ path: device.string("Path"), rate: device.integer("Rate") }));
  const weights = hostConfig
    .objects("BlkioWeightDevice")
    .map((device) => ({ path: device.string("Path"), weight: device.integer("Weight") }));
  const all = {
    blkioWeightDevices: weights,
    blkioReadBps: rates("BlkioDeviceReadBps"),
    blkioWriteBps: rates("BlkioDeviceWriteBps"),
    blkioReadIops: rates("BlkioDeviceReadIOps"),
    blkioWriteIops: rates("BlkioDeviceWriteIOps"),
  };
  return {
    ...unlessZero("blkioWeight", hostConfig.integer("BlkioWeight")),
    ...Object.fromEntries(Object.entries(all).filter(([, devices]) => devices.length > 0)),
  };
}

function unlessZero<Name extends keyof Resources>(
  name: Name,
  value: number,
): Partial<Record<Name, number>> {
  return value === 0 ? {} : ({ [name]: value } as Record<Name, number>);
}

function unlessEmpty<Name extends "cpusetCpus" | "cpusetMems">(
  name: Name,
  value: string,
): Partial<Record<Name, string>> {
  return value === "" ? {} : ({ [name]: value } as Record<Name, string>);
}

/** The resources part of an inspect's HostConfig, with docker's zeros and in its order. */
export function formatResources(spec: ContainerSpec, version: ApiVersion): Record<string, unknown> {
  const { resources } = spec;
  return {
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: resources.nanoCpus ?? 0,
    CgroupParent: spec.cgroupParent === "" ? "" : `/${spec.cgroupParent}`,
    BlkioWeight: resources.blkioWeight ?? 0,
    BlkioWeightDevice: (resources.blkioWeightDevices ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: formatRates(resources.blkioReadBps),
    BlkioDeviceWriteBps: formatRates(resources.blkioWriteBps),
    BlkioDeviceReadIOps: formatRates(resources.blkioReadIops),
    BlkioDeviceWriteIOps: formatRates(resources.blkioWriteIops),
    CpuPeriod: resources.cpuPeriodMicroseconds ?? 0,
    CpuQuota: resources.cpuQuotaMicroseconds ?? 0,
    CpuRealtimePeriod: resources.cpuRealtimePeriodMicroseconds ?? 0,
    CpuRealtimeRuntime: resources.cpuRealtimeRuntimeMicroseconds ?? 0,
    CpusetCpus: resources.cpusetCpus ?? "",
    CpusetMems: resources.cpusetMems ?? "",
    Devices: spec.devices.map(formatDevice),
    DeviceCgroupRules: spec.deviceCgroupRules.length === 0 ? null : spec.deviceCgroupRules,
    DeviceRequests: null,
    ...(isAtLeast(version, 1, 42) ? {} : { KernelMemory: 0, KernelMemoryTCP: 0 }),
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapBytes ?? 0,
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? null,
    PidsLimit: resources.pidsLimit ?? null,
    Ulimits: spec.ulimits.map(({ name, hard, soft }) => ({ Name: name, Hard: hard, Soft: soft })),
    CpuCount: 0,
    CpuPercent: 0,
    IOMaximumIOps: 0,
    IOMaximumBandwidth: 0,
  };
}

function formatDevice({ hostPath, containerPath, access }: DeviceSpec): Record<string, string> {
  return { PathOnHost: hostPath, PathInContainer: containerPath, CgroupPermissions: access };
}

function formatRates(rates: readonly DeviceRate[] = []): { Path: string; Rate: number }[] {
  return rates.map(({ path, rate }) => ({ Path: path, Rate: rate }));
}
