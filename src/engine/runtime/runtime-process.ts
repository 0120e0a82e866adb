import type { SpecProcess, SpecRlimit } from "../../base/runtime-spec.ts";
import type { ProcessPlan } from "../../launch/process-plan.ts";
import { type CapabilityPlan, capabilityNames } from "../../namespaces/capabilities.ts";
import type { ResourceLimit } from "../../namespaces/rlimits.ts";

type Program = Pick<
  ProcessPlan,
  | "argv"
  | "environment"
  | "workingDirectory"
  | "uid"
  | "gid"
  | "groups"
  | "noNewPrivileges"
  | "tty"
  | "terminalSize"
> & { readonly capabilities: CapabilityPlan };

/** A process as a runtime takes it (runtime-spec config.md, "Process"), of a container or for `exec --process`. */
export function runtimeProcess(
  program: Program,
  limits: { readonly rlimits: readonly ResourceLimit[]; readonly oomScoreAdjust: number },
): SpecProcess {
  const { terminalSize, capabilities } = program;
  const bounding = capabilityNames(capabilities.bounding);
  // Who is not root has them in reserve only (docker's rule, and the kernel's for a change of the user).
  const own = capabilities.isRoot ? bounding : [];
  return {
    terminal: program.tty,
    ...(terminalSize.rows + terminalSize.columns === 0
      ? {}
      : { consoleSize: { height: terminalSize.rows, width: terminalSize.columns } }),
    cwd: program.workingDirectory,
    env: program.environment,
    args: program.argv,
    user: { uid: program.uid, gid: program.gid, umask: 0o022, additionalGids: program.groups },
    ...(limits.rlimits.length === 0 ? {} : { rlimits: limits.rlimits.map(rlimit) }),
    capabilities: { bounding, effective: own, permitted: own, inheritable: [], ambient: [] },
    noNewPrivileges: program.noNewPrivileges,
    ...(limits.oomScoreAdjust === 0 ? {} : { oomScoreAdj: limits.oomScoreAdjust }),
  };
}

const NO_LIMIT = 0xffff_ffff_ffff_ffffn;

function rlimit({ name, soft, hard }: ResourceLimit): SpecRlimit {
  const value = (limit: number): number | bigint => (limit < 0 ? NO_LIMIT : limit);
  return { type: `RLIMIT_${name.toUpperCase()}`, soft: value(soft), hard: value(hard) };
}
