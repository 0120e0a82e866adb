import { blkioV1, blkioV2, type DeviceNumber, validateBlkio } from "./blkio.ts";
import { cpuV1, cpuV2, validateCpu } from "./cpu.ts";
import { type AvailableSets, cpusetV1, cpusetV2, validateCpuset } from "./cpuset.ts";
import { deviceNumber } from "./device-number.ts";
import { memoryV1, memoryV2, validateMemory } from "./memory.ts";
import { pids } from "./pids.ts";
import type { Resources } from "./resources.ts";
import type { CgroupWrite } from "./write.ts";

/** The host's part of what limits may be. */
export interface HostResources extends AvailableSets {
  /** How many CPUs there are. */
  readonly count: number;
}

/** @throws invalid-argument, in docker's words */
export function validateResources(resources: Resources, host: HostResources): void {
  validateMemory(resources);
  validateCpu(resources, host.count);
  validateCpuset(resources, host);
  validateBlkio(resources);
}

/** What a new v1 group needs for the limits, in order. `parent`: the sets of CPUs and memory nodes of the group above. */
export function writesV1(
  resources: Resources,
  parent: AvailableSets,
  numberOf: DeviceNumber = deviceNumber,
): CgroupWrite[] {
  return [
    ...memoryV1(resources),
    ...cpuV1(resources),
    ...cpusetV1(resources, parent),
    ...blkioV1(resources, numberOf),
    ...pids(resources),
  ];
}

/** What a v2 group needs for the limits. */
export function writesV2(
  resources: Resources,
  numberOf: DeviceNumber = deviceNumber,
): CgroupWrite[] {
  return [
    ...memoryV2(resources),
    ...cpuV2(resources),
    ...cpusetV2(resources),
    ...blkioV2(resources, numberOf),
    ...pids(resources),
  ];
}
