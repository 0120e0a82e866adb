import type { ProcessPlan } from "../launch/process-plan.ts";
import { NO_LOG, parseLogOptions } from "../logs/index.ts";
import type { ContainerSpec } from "./types.ts";

/** How a container's output is logged; null: not at all (docker's driver `none`). @param next number of the next rotated file */
export function logSettings(
  spec: ContainerSpec,
  directory: string,
  next: number,
): ProcessPlan["log"] {
  if (spec.logDriver === NO_LOG) return null;
  const { maxBytes, maxFiles } = parseLogOptions(spec.logDriver, spec.logOptions);
  return { directory, maxBytes, keep: Math.max(maxFiles - 1, 0), next };
}

/** Whether rotated files are to be compressed. */
export function compressesLog(spec: ContainerSpec): boolean {
  return spec.logDriver !== NO_LOG && parseLogOptions(spec.logDriver, spec.logOptions).compress;
}
