import { invalidArgument } from "../base/error.ts";
import type { GroupAtPath } from "../cgroups/group-at-path.ts";
import type { GroupRequest } from "../cgroups/plan.ts";
import {
  deviceRules,
  neededControllers,
  resourceWritesV1,
  resourceWritesV2,
  unifiedWrites,
} from "./cgroup-resources.ts";
import type { SpecResources } from "../base/runtime-spec.ts";

/** What the host's kind of cgroups needs for the resources. @throws invalid-argument */
export function writesOf(
  paths: GroupAtPath,
  resources: SpecResources,
): { request: GroupRequest; controllers: readonly string[] } {
  const isV2 = paths.layout.kind === "v2";
  const writesV2 = isV2 ? resourceWritesV2(resources) : [];
  const unified = isV2 ? [] : unifiedWrites(resources);
  if (unified.length > 0 && paths.layout.unified === null) {
    throw invalidArgument("Cannot use linux.resources.unified: the host has no cgroup v2");
  }
  return {
    request: {
      containerId: paths.name,
      deviceRules: deviceRules(resources.devices),
      writesV1: isV2 ? [] : resourceWritesV1(resources, paths.parentSets),
      writesV2,
      writesHybrid: unified,
    },
    controllers: neededControllers(writesV2),
  };
}
