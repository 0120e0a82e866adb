import { existsSync } from "node:fs";
import type { DriverPaths } from "./paths.ts";
import type { Controller } from "./write.ts";

/** Which limits the host's kernel has, as docker tells them (`docker info`). */
export interface Support {
  readonly memory: boolean;
  readonly swap: boolean;
  readonly memoryReservation: boolean;
  readonly swappiness: boolean;
  readonly oomKillDisable: boolean;
  readonly cpuShares: boolean;
  readonly cpuQuota: boolean;
  readonly cpuRealtime: boolean;
  readonly cpuset: boolean;
  readonly pids: boolean;
  readonly blkioWeight: boolean;
  readonly blkioWeightDevice: boolean;
  /** Weights for each disk need no scheduler of their own (iocost, or v1 before 5.0). */
  readonly weighsAnyDisk: boolean;
  readonly blkioReadBps: boolean;
  readonly blkioWriteBps: boolean;
  readonly blkioReadIops: boolean;
  readonly blkioWriteIops: boolean;
}

/** By the files of the engine's own groups: the root groups lack some. They must have been prepared. */
export function readSupport(paths: DriverPaths): Support {
  const { unified } = paths.layout;
  if (paths.layout.kind === "v2" && unified !== null) {
    return supportV2((file) => existsSync(`${paths.parent(unified)}/${file}`));
  }
  return supportV1((controller, file) => {
    const hierarchy = paths.hierarchy(controller);
    return hierarchy !== undefined && existsSync(`${paths.parent(hierarchy)}/${file}`);
  });
}

export function supportV1(has: (controller: Controller, file: string) => boolean): Support {
  const throttles = (kind: string): boolean => has("blkio", `blkio.throttle.${kind}_device`);
  return {
    memory: has("memory", "memory.limit_in_bytes"),
    swap: has("memory", "memory.memsw.limit_in_bytes"),
    memoryReservation: has("memory", "memory.soft_limit_in_bytes"),
    swappiness: has("memory", "memory.swappiness"),
    oomKillDisable: has("memory", "memory.oom_control"),
    cpuShares: has("cpu", "cpu.shares"),
    cpuQuota: has("cpu", "cpu.cfs_quota_us"),
    cpuRealtime: has("cpu", "cpu.rt_period_us"),
    cpuset: has("cpuset", "cpuset.cpus"),
    pids: has("pids", "pids.max"),
    blkioWeight: has("blkio", "blkio.weight") || has("blkio", "blkio.bfq.weight"),
    blkioWeightDevice:
      has("blkio", "blkio.weight_device") || has("blkio", "blkio.bfq.weight_device"),
    weighsAnyDisk: has("blkio", "blkio.weight_device"),
    blkioReadBps: throttles("read_bps"),
    blkioWriteBps: throttles("write_bps"),
    blkioReadIops: throttles("read_iops"),
    blkioWriteIops: throttles("write_iops"),
  };
}

export function supportV2(has: (file: string) => boolean): Support {
  const weight = has("io.weight") || has("io.bfq.weight");
  const throttles = has("io.max");
  return {
    memory: has("memory.max"),
    swap: has("memory.swap.max"),
    memoryReservation: has("memory.low"),
    swappiness: false,
    oomKillDisable: false,
    cpuShares: has("cpu.weight"),
    cpuQuota: has("cpu.max"),
    cpuRealtime: false,
    cpuset: has("cpuset.cpus"),
    pids: has("pids.max"),
    blkioWeight: weight,
    blkioWeightDevice: weight,
    weighsAnyDisk: has("io.weight"),
    blkioReadBps: throttles,
    blkioWriteBps: throttles,
    blkioReadIops: throttles,
    blkioWriteIops: throttles,
  };
}
