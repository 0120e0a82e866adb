import { MASKED_PATHS, maskedPaths, READ_ONLY_PATHS } from "../namespaces/masked-paths.ts";
import { hasOwnCgroupNamespace } from "../namespaces/namespaces.ts";
import type { EngineContext } from "./context.ts";
import type { Isolation } from "./engine.ts";
import { namespaceModes, securityOptions } from "./spec-security.ts";

const THERMAL_THROTTLE = /^\/sys\/devices\/system\/cpu\/cpu\d+\/thermal_throttle$/;

/** What inspect tells of a container's isolation: as it is, not as it was asked for. @throws not-found */
export function isolationOf(context: EngineContext, name: string): Isolation {
  const { spec, idBase } = context.containers.find(name);
  const { unmaskedPaths } = securityOptions(spec);
  const masked = maskedPaths(context.hostDetails.thermalThrottleCpus);
  const modes = namespaceModes(spec, context.host.cgroupVersion);
  return {
    maskedPaths: unmaskedPaths ? [] : masked.map(({ path }) => path),
    readOnlyPaths: unmaskedPaths ? [] : READ_ONLY_PATHS,
    cgroupnsMode: hasOwnCgroupNamespace(modes, idBase === 0) ? "private" : "host",
  };
}

/** True when every path of both lists is hidden, or read-only, in every container: then they ask for what is so anyway. */
export function arePathsUsual(masked: readonly string[], readOnly: readonly string[]): boolean {
  const isMasked = (path: string): boolean =>
    MASKED_PATHS.some((known) => known.path === path) || THERMAL_THROTTLE.test(path);
  return masked.every(isMasked) && readOnly.every((path) => READ_ONLY_PATHS.includes(path));
}
