/** The limits of one container, as asked for; an absent field is no limit. */
export interface Resources {
  readonly memoryBytes?: number;
  /** Memory plus swap, as docker's --memory-swap; -1: no limit on swap. */
  readonly memorySwapBytes?: number;
  readonly memoryReservationBytes?: number;
  readonly memorySwappiness?: number;
  /** Billionths of a CPU: `--cpus 0.5` is 500_000_000. */
  readonly nanoCpus?: number;
  readonly cpuPeriodMicroseconds?: number;
  readonly cpuQuotaMicroseconds?: number;
  /** v1 alone. */
  readonly cpuRealtimePeriodMicroseconds?: number;
  readonly cpuRealtimeRuntimeMicroseconds?: number;
  /** 2 to 262144; 1024 is the usual weight. */
  readonly cpuShares?: number;
  /** Lists of the form `0-2,5`. */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** -1 or 0: no limit. */
  readonly pidsLimit?: number;
  /** v1 alone: processes wait for memory instead of being killed. */
  readonly oomKillDisable?: boolean;
  /** 10 to 1000; 500 is v1's usual weight, 100 v2's. */
  readonly blkioWeight?: number;
  readonly blkioWeightDevices?: readonly DeviceWeight[];
  readonly blkioReadBps?: readonly DeviceRate[];
  readonly blkioWriteBps?: readonly DeviceRate[];
  readonly blkioReadIops?: readonly DeviceRate[];
  readonly blkioWriteIops?: readonly DeviceRate[];
}

/** A disk by its path on the host, and how many bytes or operations a second; 0: no limit. */
export interface DeviceRate {
  readonly path: string;
  readonly rate: number;
}

export interface DeviceWeight {
  readonly path: string;
  readonly weight: number;
}

/** One rule of the device filter (runtime-spec config-linux.md, "Allowed Device list"); -1: any number. */
export interface DeviceRule {
  readonly allow: boolean;
  readonly type: "a" | "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** Any of `r`, `w`, `m`. */
  readonly access: string;
}
