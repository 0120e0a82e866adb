import type { ProcessPlan } from "../launch/process-plan.ts";
import { resolveCapabilities } from "../namespaces/capabilities.ts";
import { ARCHITECTURE } from "../kernel/syscall.ts";
import { planSeccomp, seccompFilter } from "../namespaces/seccomp/filter.ts";
import type { EngineContext } from "./context.ts";
import { securityOptions } from "./spec-security.ts";
import type { ContainerSpec } from "./types.ts";

/** Capabilities, no-new-privileges and the seccomp filter of a process. `privileged` may be an exec's own. */
export function planConfinement(
  context: EngineContext,
  spec: ContainerSpec,
  process: { isRoot: boolean; privileged: boolean; ownIds: boolean },
): Pick<ProcessPlan, "capabilities" | "noNewPrivileges" | "seccomp"> {
  const { lastCapability, boundingSet } = context.hostDetails;
  const bounding = resolveCapabilities(
    { capAdd: spec.capAdd, capDrop: spec.capDrop, privileged: process.privileged },
    { lastCapability, available: process.ownIds ? (1n << 64n) - 1n : boundingSet },
  );
  const { noNewPrivileges, seccomp } = securityOptions(spec);
  const facts = {
    architecture: ARCHITECTURE,
    kernel: context.hostDetails.kernel,
    capabilities: bounding,
  };
  const isUnconfined = seccomp === "unconfined" || process.privileged;
  return {
    capabilities: { bounding, isRoot: process.isRoot, lastCapability },
    noNewPrivileges,
    seccomp: isUnconfined ? [] : planSeccomp(seccompFilter(seccomp, facts)),
  };
}
