import { invalidArgument } from "../base/error.ts";
import type { Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

const DEFAULT_PERIOD = 100_000;
const NANO = 1_000_000_000;

/** @throws invalid-argument, in docker's words */
export function validateCpu(resources: Resources, cpus: number): void {
  const { nanoCpus = 0, cpuPeriodMicroseconds = 0, cpuQuotaMicroseconds = 0 } = resources;
  if (nanoCpus !== 0 && cpuPeriodMicroseconds !== 0) {
    throw invalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set");
  }
  if (nanoCpus !== 0 && cpuQuotaMicroseconds !== 0) {
    throw invalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
  }
  // Less than 0.01 is less than the kernel's smallest quota, 1 ms.
  if (nanoCpus !== 0 && (nanoCpus < NANO / 100 || nanoCpus > cpus * NANO)) {
    throw invalidArgument(
      `Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`,
    );
  }
  if (
    cpuPeriodMicroseconds !== 0 &&
    (cpuPeriodMicroseconds < 1000 || cpuPeriodMicroseconds > 1_000_000)
  ) {
    throw invalidArgument(
      "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    );
  }
  if (cpuQuotaMicroseconds > 0 && cpuQuotaMicroseconds < 1000) {
    throw invalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)");
  }
  if ((resources.cpuShares ?? 0) < 0) {
    throw invalidArgument(
      `invalid CPU shares (${resources.cpuShares}): value must be a positive integer`,
    );
  }
  validateRealtime(resources);
}

function validateRealtime(resources: Resources): void {
  const { cpuRealtimePeriodMicroseconds: period = 0, cpuRealtimeRuntimeMicroseconds: runtime = 0 } =
    resources;
  if (period < 0 || runtime < 0) {
    throw invalidArgument("CPU real-time period and runtime cannot be negative");
  }
  if (period !== 0 && runtime > period) {
    throw invalidArgument("cpu real-time runtime cannot be higher than cpu real-time period");
  }
}

export interface Bandwidth {
  /** Microseconds in each period; -1: no limit. */
  readonly quota: number;
  readonly period: number;
}

/** CPU time as quota and period; undefined: no limit. */
export function bandwidth(resources: Resources): Bandwidth | undefined {
  const { nanoCpus = 0, cpuPeriodMicroseconds = 0, cpuQuotaMicroseconds = 0 } = resources;
  if (nanoCpus > 0) {
    return { quota: Math.floor((nanoCpus / NANO) * DEFAULT_PERIOD), period: DEFAULT_PERIOD };
  }
  if (cpuPeriodMicroseconds === 0 && cpuQuotaMicroseconds === 0) return undefined;
  return {
    quota: cpuQuotaMicroseconds > 0 ? cpuQuotaMicroseconds : -1,
    period: cpuPeriodMicroseconds || DEFAULT_PERIOD,
  };
}

export function cpuV1(resources: Resources): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { cpuShares = 0 } = resources;
  if (cpuShares > 0) {
    writes.push({
      controller: "cpu",
      file: "cpu.shares",
      value: String(cpuShares),
      reason: `weigh its CPU time with ${cpuShares} shares`,
    });
  }
  const limit = bandwidth(resources);
  if (limit !== undefined) {
    // The period first: a quota is checked against it.
    writes.push(
      {
        controller: "cpu",
        file: "cpu.cfs_period_us",
        value: String(limit.period),
        reason: `count CPU time in periods of ${limit.period} us`,
      },
      {
        controller: "cpu",
        file: "cpu.cfs_quota_us",
        value: String(limit.quota),
        reason: `limit CPU time to ${limit.quota} us a period`,
      },
    );
  }
  return [...writes, ...realtimeV1(resources)];
}

/** A new group has no real-time: the period first, then what of it (Documentation/scheduler/sched-rt-group.rst). */
function realtimeV1(resources: Resources): CgroupWrite[] {
  const { cpuRealtimePeriodMicroseconds: period = 0, cpuRealtimeRuntimeMicroseconds: runtime = 0 } =
    resources;
  const writes: CgroupWrite[] = [
    {
      controller: "cpu",
      file: "cpu.rt_period_us",
      value: String(period),
      reason: `count real-time CPU use in periods of ${period} us`,
    },
    {
      controller: "cpu",
      file: "cpu.rt_runtime_us",
      value: String(runtime),
      reason: `let it use real-time CPU for ${runtime} us a period`,
    },
  ];
  return writes.filter(({ value }) => value !== "0");
}

export function cpuV2(resources: Resources): CgroupWrite[] {
  const writes: CgroupWrite[] = [];
  const { cpuShares = 0 } = resources;
  if (cpuShares > 0) {
    writes.push({
      controller: "cpu",
      file: "cpu.weight",
      value: String(cpuWeight(cpuShares)),
      reason: `weigh its CPU time with ${cpuShares} shares`,
    });
  }
  const limit = bandwidth(resources);
  if (limit !== undefined) {
    writes.push({
      controller: "cpu",
      file: "cpu.max",
      value: `${limit.quota < 0 ? "max" : limit.quota} ${limit.period}`,
      reason: `limit CPU time to ${limit.quota} of each ${limit.period} us`,
    });
  }
  return writes;
}

/**
 * v1's shares (2 to 262144, usually 1024) as v2's weight (1 to 10000, usually 100): a curve through these three points, the
 * one that the newest runc and crun use. The straight line that they used before made 39 of 1024.
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1;
  if (shares >= 262_144) return 10_000;
  const log = Math.log2(shares);
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34));
}
