import { call, type Operation, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { CLONE, O } from "../kernel/flags.ts";
import { planPseudoTerminal } from "../namespaces/devices.ts";
import { limitsByTime, type ResourceLimit, planRlimits } from "../namespaces/rlimits.ts";
import {
  FIRST_INHERITED_FD,
  planBecomeRoot,
  planForked,
  planGuard,
  planHoldings,
  planProgram,
  planSupervise,
  type ProcessPlan,
} from "./process-plan.ts";

/** One more process in a running container. The launcher inherits a pidfd of the container's first process. */
export interface ExecPlan {
  readonly process: ProcessPlan;
  /** The container has a user namespace of its own. */
  readonly hasUserNamespace: boolean;
  readonly hasTimeNamespace: boolean;
  readonly sharesHostPid: boolean;
  readonly cgroup: CgroupPlan;
  readonly rlimits: readonly ResourceLimit[];
}

/** Pure. */
export function planExecLaunch(plan: ExecPlan): Operation[] {
  const { cgroup } = plan;
  return [
    ...planHoldings(plan.process),
    ...cgroup.create,
    ...(plan.sharesHostPid
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
      flags: CLONE.FILES | CLONE.PIDFD | (cgroup.intoCgroup ? CLONE.INTO_CGROUP : 0n),
      ...(cgroup.intoCgroup ? { intoCgroup: cgroup.intoCgroup } : {}),
      pid: "pid",
      pidfd: "pidfd",
      reason: "start a process for the container",
      hints: { ENOMEM: "The container has ended meanwhile" },
      child: planExecSide(plan),
    },
    ...planForked(cgroup),
    ...planRlimits(limitsByTime(plan.rlimits).early, register("pid")),
    { control: "signal", eventfd: register("prepared"), reason: "let the process go on" },
    ...planSupervise(plan.process, false),
  ];
}

function planExecSide(plan: ExecPlan): Operation[] {
  const { process } = plan;
  const flags =
    CLONE.NEWNS |
    CLONE.NEWUTS |
    CLONE.NEWIPC |
    CLONE.NEWNET |
    CLONE.NEWCGROUP |
    (plan.hasUserNamespace ? CLONE.NEWUSER : 0n) |
    (plan.hasTimeNamespace ? CLONE.NEWTIME : 0n);
  return [
    ...planGuard(),
    ...plan.cgroup.enter,
    {
      control: "wait",
      for: register("prepared"),
      until: "readable",
      reason: "wait for the limits",
    },
    call("setns", [FIRST_INHERITED_FD, flags], "enter the container's namespaces", {
      hints: { ESRCH: "The container has ended meanwhile" },
    }),
    ...(plan.hasUserNamespace ? planBecomeRoot() : planGuard()),
    ...(process.tty
      ? [
          call(
            "openat",
            [-100, "/", O.PATH | O.DIRECTORY | O.CLOEXEC, 0],
            "open the container's root",
            { result: "root" },
          ),
          ...planPseudoTerminal({
            root: register("root"),
            master: "terminal",
            slave: "slave",
            owner: process.uid,
            ...process.terminalSize,
          }),
        ]
      : []),
    ...planRlimits(limitsByTime(plan.rlimits).late, 0),
    ...planProgram(process),
  ];
}
