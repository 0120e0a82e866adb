import { cgroupsOf } from "./container-status.ts";
import { otherNamespaces } from "./hook-place.ts";
import { consoleOf, type ConsoleTarget } from "./prepare.ts";
import { availableCapabilities, lastCapability, readCapabilities } from "./plan-credentials.ts";
import type { OciExec } from "./plan-exec.ts";
import { preservedFrom, resourceLimits } from "./plan-process.ts";
import { environmentWithHome } from "./process-home.ts";
import { planPersonality } from "./personality.ts";
import type { RuntimeSpec, SpecProcess } from "../base/runtime-spec.ts";
import { planSeccomp, type SeccompPlan } from "./seccomp.ts";
import { planSecurityModules } from "./security-modules.ts";
import { CLONE } from "../kernel/flags.ts";
import type { StoredState } from "./state-directory.ts";

export interface AddedOptions {
  readonly consoleSocket: ConsoleTarget;
  readonly preserveFds: number;
  readonly warn: (text: string) => void;
}

const DEFAULTS: AddedOptions = { consoleSocket: undefined, preserveFds: 0, warn: () => undefined };

/** One more process in a running container, with the container's filter and personality. @throws invalid-argument, unavailable */
export function planAddedProcess(
  state: StoredState,
  container: RuntimeSpec,
  spec: SpecProcess,
  options: AddedOptions = DEFAULTS,
): OciExec & { readonly seccomp: SeccompPlan } {
  const linux = container.linux ?? {};
  const namespaces = otherNamespaces(state.pid);
  const seccomp = planSeccomp(linux.seccomp);
  const security = planSecurityModules(spec, undefined);
  const last = lastCapability();
  const hasUserNamespace = (namespaces & CLONE.NEWUSER) !== 0n;
  const available = hasUserNamespace ? (1n << BigInt(last + 1)) - 1n : availableCapabilities();
  const { driver, paths } = cgroupsOf(state);
  const inherited = options.consoleSocket === "inherited" ? 2 : 1;
  return {
    process: {
      spec,
      capabilities: readCapabilities(spec.capabilities, available, options.warn),
      lastCapability: last,
      environment: environmentWithHome(spec, `/proc/${state.pid}/root`),
      seccomp: seccomp.operations,
      preserveFds: options.preserveFds,
      preservedFrom: preservedFrom(inherited),
      also: [...planPersonality(linux.personality), ...security.apply],
      gate: "none",
      isKnown: true,
    },
    namespaces,
    cgroup: driver.planEntry(paths.name),
    limits: resourceLimits(spec.rlimits),
    console:
      spec.terminal === true || options.consoleSocket !== undefined
        ? consoleOf(spec, options.consoleSocket, preservedFrom(1), false)
        : null,
    security,
    notifies: seccomp.notify !== undefined,
    seccomp,
  };
}
