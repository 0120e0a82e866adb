import { call, type Fork, type Operation, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { CLONE, O } from "../kernel/flags.ts";
import { planPseudoTerminal } from "../namespaces/devices.ts";
import {
  limitsByTime,
  planKeyring,
  planRlimits,
  type ResourceLimit,
} from "../namespaces/rlimits.ts";
import {
  FIRST_INHERITED_FD,
  planAnswering,
  planBecomeRoot,
  planConfinedProgram,
  planForked,
  planGuard,
  planHoldings,
  planLeaveDescriptorsEarly,
  planPart,
  planProgram,
  planSession,
  planStreams,
  planSupervise,
  type ProcessPlan,
} from "./process-plan.ts";

/** One more process in a running container. The launcher inherits a pidfd of the container's first process. */
export interface ExecPlan {
  readonly containerId: string;
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
  return [
    ...planHoldings(plan.process),
    ...plan.cgroup.create,
    ...(plan.hasUserNamespace || plan.sharesHostPid ? planFork(plan) : planForkFromInside(plan)),
    ...planForked(plan.cgroup),
    ...planRlimits(limitsByTime(plan.rlimits).early, register("pid")),
    ...planAnswering(plan.process),
    { control: "signal", eventfd: register("prepared"), reason: "let the process go on" },
    ...planSupervise(plan.process, false),
  ];
}

const HINTS = { ENOMEM: "The container has ended meanwhile" };

function fork(plan: ExecPlan): Pick<Fork, "control" | "flags" | "intoCgroup"> {
  const { intoCgroup } = plan.cgroup;
  const flags = CLONE.FILES | CLONE.PIDFD | (intoCgroup ? CLONE.INTO_CGROUP : 0n);
  return { control: "fork", flags, ...(intoCgroup ? { intoCgroup } : {}) };
}

/**
 * The process is in the container's pid namespace before it is in its other ones: the container can see it, but the kernel
 * keeps it from all but its number, since the launcher's memory belongs to the host's user namespace (ptrace(2), "Ptrace
 * access mode checking").
 */
function planFork(plan: ExecPlan): Operation[] {
  return [
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
      ...fork(plan),
      pid: "pid",
      pidfd: "pidfd",
      reason: "start a process for the container",
      hints: HINTS,
      child: [
        ...planEnter(plan, 0n, [...planSession(), wait("prepared")]),
        ...planOwnSide(plan),
        ...planProgram(plan.process),
      ],
    },
  ];
}

/**
 * In the host's user namespace a container with CAP_SYS_PTRACE may look into every process that it sees: through one that
 * has the host's root still, it would reach that root (CVE-2016-9962). So a process that it does not see enters all other
 * namespaces, opens what is to be opened, lets go of the engine's descriptors, and only then forks the one that is seen.
 */
function planForkFromInside(plan: ExecPlan): Operation[] {
  const { process } = plan;
  const TIOCSCTTY = 0x540e;
  return [
    {
      ...fork(plan),
      pid: "joiner",
      pidfd: "joiner.pidfd",
      reason: "start a process that enters the container",
      hints: HINTS,
      child: [
        ...planEnter(plan, CLONE.NEWPID, []),
        ...planPart(process),
        ...(process.tty
          ? [0, 1, 2].map((fd) =>
              call(
                "dup3",
                [register("slot.slave"), fd, 0],
                `connect descriptor ${fd} to the terminal`,
              ),
            )
          : planStreams(process)),
        ...planLeaveDescriptorsEarly(),
        {
          control: "fork",
          flags: CLONE.PIDFD | CLONE.PARENT,
          pid: "pid",
          pidfd: "inner.pidfd",
          reason: "start a process for the container",
          hints: HINTS,
          child: [
            ...planGuard(),
            wait("ready"),
            call("close", [register("ready")], "let go of the signal"),
            ...planOwnSide(plan),
            ...planSession(),
            ...(process.tty
              ? [call("ioctl", [0, TIOCSCTTY, 0], "make the terminal the controlling one")]
              : []),
            ...planConfinedProgram(process),
          ],
        },
        call("exit_group", [0], "leave"),
      ],
    },
    call("wait4", [register("joiner"), null, 0, null], "wait for the process that entered"),
    call("close", [register("joiner.pidfd")], "let go of it"),
    call("pidfd_open", [register("pid"), 0], "hold the container's process", { result: "pidfd" }),
  ];
}

/** Into the container's cgroup and namespaces, and a terminal of its devpts, while descriptors are shared with the supervisor. */
function planEnter(plan: ExecPlan, more: bigint, before: readonly Operation[]): Operation[] {
  const { process } = plan;
  const flags =
    more |
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
    ...before,
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
  ];
}

function wait(name: string): Operation {
  return {
    control: "wait",
    for: register(name),
    until: "readable",
    reason: "wait for the limits",
  };
}

/** What a process does for itself once its limits are set. */
function planOwnSide(plan: ExecPlan): Operation[] {
  return [...planKeyring(plan.containerId), ...planRlimits(limitsByTime(plan.rlimits).late, 0)];
}
