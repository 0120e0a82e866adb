import { limitedDisks } from "../cgroups/blkio.ts";
import { deviceNumber, hasWeights } from "../cgroups/device-number.ts";
import { parseDeviceRule } from "../cgroups/devices.ts";
import { discardUnsupported } from "../cgroups/discard.ts";
import { validateResources } from "../cgroups/limits.ts";
import { cleanParent } from "../cgroups/paths.ts";
import type { Resources } from "../cgroups/resources.ts";
import { invalidArgument } from "../base/error.ts";
import type { EngineContext } from "./context.ts";
import type { ContainerSpec } from "./types.ts";

const MOST_OOM_SCORE = 1000;

/** The limits that the host can set, of those asked for, and what the user should know of the others. @throws invalid-argument */
export function usableResources(
  context: EngineContext,
  asked: Resources,
): { resources: Resources; warnings: string[] } {
  const { cgroups, host } = context;
  const { resources, warnings } = discardUnsupported(withSwap(asked), cgroups.support);
  validateResources(resources, { ...cgroups.paths.parentSets, count: host.cpus });
  for (const path of limitedDisks(resources)) deviceNumber(path);
  return withoutUselessWeights(context, resources, warnings);
}

/** docker's default, which inspect shows: as much swap as memory. */
function withSwap(resources: Resources): Resources {
  const { memoryBytes = 0, memorySwapBytes = 0 } = resources;
  if (memoryBytes <= 0 || memorySwapBytes !== 0) return resources;
  return { ...resources, memorySwapBytes: 2 * memoryBytes };
}

/** A disk's own weight needs its scheduler to be bfq, or iocost: else the kernel refuses it at the start. */
function withoutUselessWeights(
  { cgroups }: EngineContext,
  resources: Resources,
  warnings: string[],
): { resources: Resources; warnings: string[] } {
  const { blkioWeightDevices = [] } = resources;
  const isUseless = (path: string): boolean =>
    !cgroups.support.weighsAnyDisk && !hasWeights(deviceNumber(path));
  const useless = blkioWeightDevices.filter(({ path }) => isUseless(path));
  if (useless.length === 0) return { resources, warnings };
  const kept = blkioWeightDevices.filter((device) => !useless.includes(device));
  return {
    resources: { ...resources, blkioWeightDevices: kept },
    warnings: [
      ...warnings,
      ...useless.map(
        ({ path }) => `The scheduler of ${path} does not support weights. Weight-device discarded.`,
      ),
    ],
  };
}

/** What else a spec says about cgroups. @throws invalid-argument, in docker's words */
export function validateCgroupOptions(spec: ContainerSpec): void {
  const score = spec.oomScoreAdjust;
  if (Math.abs(score) > MOST_OOM_SCORE) {
    throw invalidArgument(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  }
  spec.deviceCgroupRules.forEach(parseDeviceRule);
  if (cleanParent(spec.cgroupParent) !== spec.cgroupParent) {
    throw invalidArgument(`invalid cgroup parent "${spec.cgroupParent}"`);
  }
}
