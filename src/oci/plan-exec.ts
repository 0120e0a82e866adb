import { call, type Operation, register } from "../base/operation.ts";
import { AT, CLONE, O } from "../kernel/flags.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { FIRST_INHERITED_FD, planBecomeRoot, planEndWithEngine } from "../launch/process-plan.ts";
import { limitsByTime, planRlimits, type ResourceLimit } from "../namespaces/rlimits.ts";
import { type ConsolePlan, planConsole, planConsoleSocket } from "./console.ts";
import { planExecutedPipe, planFinish, planGuard } from "./plan-container.ts";
import { type OciProcess, planProgram } from "./plan-process.ts";
import { planAffinity } from "./plan-scheduling.ts";
import { planOomScoreAdjust } from "../namespaces/rlimits.ts";

/** One more process in a container. The launcher inherits a pidfd of its first process as FIRST_INHERITED_FD. */
export interface OciExec {
  readonly process: OciProcess;
  /** CLONE_NEW* of what that process does not share with the runtime. */
  readonly namespaces: bigint;
  readonly cgroup: CgroupPlan;
  readonly limits: readonly ResourceLimit[];
  readonly console: ConsolePlan | null;
  readonly security: readonly Operation[];
  readonly notifies: boolean;
}

/** Pure. */
export function planExec(exec: OciExec): Operation[] {
  const { cgroup, namespaces, process } = exec;
  return [
    call("prctl", [15, "tiffin-oci", 0, 0, 0], "name the launcher"),
    ...planEndWithEngine(),
    call("openat", [AT.FDCWD, "/", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "fill a gap"),
    ...["prepared", "parted", "listening"].map((name) =>
      call("eventfd2", [0, O.CLOEXEC], `make the signal "${name}"`, { result: name }),
    ),
    ...planExecutedPipe(),
    ...planConsoleSocket(exec.console),
    ...cgroup.create,
    ...((namespaces & CLONE.NEWPID) === 0n
      ? []
      : [
          call(
            "setns",
            [FIRST_INHERITED_FD, CLONE.NEWPID],
            "have children in the container's pid namespace",
          ),
        ]),
    {
      control: "fork",
      flags:
        CLONE.FILES | CLONE.PIDFD | CLONE.PARENT | (cgroup.intoCgroup ? CLONE.INTO_CGROUP : 0n),
      ...(cgroup.intoCgroup ? { intoCgroup: cgroup.intoCgroup } : {}),
      pid: "pid",
      pidfd: "pidfd",
      reason: "start a process for the container",
      hints: { ENOMEM: "The container has ended meanwhile" },
      child: planExecSide(exec),
    },
    ...(cgroup.intoCgroup ? [call("close", [cgroup.intoCgroup], "close the cgroup")] : []),
    ...planRlimits(limitsByTime(exec.limits).early, register("pid")),
    { control: "signal", eventfd: register("prepared"), reason: "let the process go on" },
    ...planFinish(process, exec.notifies),
  ];
}

function planExecSide(exec: OciExec): Operation[] {
  const { process, namespaces } = exec;
  const { oomScoreAdj, execCPUAffinity } = process.spec;
  const entered = namespaces & ~CLONE.NEWPID;
  return [
    ...planGuard(),
    ...planAffinity(execCPUAffinity?.initial),
    ...exec.cgroup.enter,
    ...planAffinity(execCPUAffinity?.final),
    ...(oomScoreAdj === undefined ? [] : planOomScoreAdjust(oomScoreAdj)),
    ...exec.security,
    {
      control: "wait",
      for: register("prepared"),
      until: "readable",
      reason: "wait for the limits",
    },
    ...(entered === 0n
      ? []
      : [
          call("setns", [FIRST_INHERITED_FD, entered], "enter the container's namespaces", {
            hints: { ESRCH: "The container has ended meanwhile" },
          }),
        ]),
    ...((namespaces & CLONE.NEWUSER) === 0n ? planGuard() : planBecomeRoot()),
    call(
      "openat",
      [AT.FDCWD, "/", O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
      "open the container's root",
      { result: "rootfs" },
    ),
    ...planConsole(exec.console),
    ...planRlimits(limitsByTime(exec.limits).late, 0),
    ...planProgram(process),
  ];
}
