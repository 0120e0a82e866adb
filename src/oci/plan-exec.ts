import { call, type Fork, type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { AT, CLONE, O, TTY_IOCTL } from "../kernel/flags.ts";
import { FIRST_INHERITED_FD, planBecomeRoot, planEndWithEngine } from "../launch/process-plan.ts";
import {
  limitsByTime,
  planOomScoreAdjust,
  planRlimits,
  type ResourceLimit,
} from "../namespaces/rlimits.ts";
import { type ConsolePlan, planConsole, planConsoleSocket } from "./console.ts";
import { planExecutedPipe, planFinish, planGuard } from "./plan-container.ts";
import {
  keptRegister,
  type OciProcess,
  ownStreams,
  planConfinedProgram,
  planLeaveDescriptors,
  planPart,
  planProgram,
} from "./plan-process.ts";
import { planAffinity } from "./plan-scheduling.ts";
import type { SecurityPlan } from "./security-modules.ts";

/** One more process in a container. The launcher inherits a pidfd of its first process as FIRST_INHERITED_FD. */
export interface OciExec {
  readonly process: OciProcess;
  /** CLONE_NEW* of what that process does not share with the runtime. */
  readonly namespaces: bigint;
  readonly cgroup: CgroupPlan;
  readonly limits: readonly ResourceLimit[];
  readonly console: ConsolePlan | null;
  readonly security: SecurityPlan;
  readonly notifies: boolean;
}

/** Pure. */
export function planExec(exec: OciExec): Operation[] {
  const { cgroup, namespaces, process } = exec;
  const isSeen = (namespaces & CLONE.NEWPID) !== 0n && (namespaces & CLONE.NEWUSER) === 0n;
  return [
    call("prctl", [15, "tiffin-oci", 0, 0, 0], "name the launcher"),
    ...planEndWithEngine(),
    call("openat", [AT.FDCWD, "/", O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "fill a gap"),
    ...["prepared", "parted", "ready", "listening"].map((name) =>
      call("eventfd2", [0, O.CLOEXEC], `make the signal "${name}"`, { result: name }),
    ),
    ...planExecutedPipe(),
    ...planConsoleSocket(exec.console),
    ...cgroup.create,
    ...(isSeen ? planForkFromInside(exec) : planFork(exec)),
    ...planRlimits(limitsByTime(exec.limits).early, register("pid")),
    { control: "signal", eventfd: register("prepared"), reason: "let the process go on" },
    ...planFinish(process, exec.notifies),
  ];
}

const HINTS = { ENOMEM: "The container has ended meanwhile" };

function fork({ cgroup }: OciExec): Pick<Fork, "control" | "flags" | "intoCgroup" | "hints"> {
  const { intoCgroup } = cgroup;
  const flags = CLONE.FILES | CLONE.PIDFD | CLONE.PARENT | (intoCgroup ? CLONE.INTO_CGROUP : 0n);
  return { control: "fork", flags, hints: HINTS, ...(intoCgroup ? { intoCgroup } : {}) };
}

/** Descriptors that the process needs until it is the program. */
function keptFor({ security }: OciExec): string[] {
  return ["executed.write", "listening", ...security.opened];
}

/**
 * The process is in the container's pid namespace before it is in its other ones: the container can see it, but the kernel
 * keeps it from all but its number, since the launcher's memory belongs to the host's user namespace.
 */
function planFork(exec: OciExec): Operation[] {
  const { namespaces } = exec;
  return [
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
      ...fork(exec),
      pid: "pid",
      pidfd: "pidfd",
      reason: "start a process for the container",
      child: [
        ...planEnter(exec, namespaces & ~CLONE.NEWPID),
        waitFor(register("prepared")),
        ...planRlimits(limitsByTime(exec.limits).late, 0),
        ...planProgram(exec.process, keptFor(exec)),
      ],
    },
  ];
}

/**
 * In the host's user namespace a container with CAP_SYS_PTRACE may look into every process that it sees (CVE-2016-9962): one
 * that it does not see enters, opens what is to be opened, lets go of the rest, and only then forks the one that is seen.
 */
function planForkFromInside(exec: OciExec): Operation[] {
  const { process } = exec;
  const hasTerminal = process.spec.terminal === true;
  return [
    {
      ...fork(exec),
      pid: "joiner",
      pidfd: "joiner.pidfd",
      reason: "start a process that enters the container",
      child: [
        ...planEnter(exec, exec.namespaces),
        ...planPart(),
        ...(hasTerminal ? planTerminalStreams() : ownStreams(process.spec.user?.uid ?? 0)),
        ...planLeaveDescriptors(process, [...keptFor(exec), "prepared"]),
        {
          control: "fork",
          flags: CLONE.PIDFD | CLONE.PARENT,
          pid: "pid",
          pidfd: "inner.pidfd",
          reason: "start a process for the container",
          hints: HINTS,
          child: [
            ...planGuard(),
            waitFor(keptRegister("prepared")),
            call("close", [keptRegister("prepared")], "let go of the signal"),
            ...planRlimits(limitsByTime(exec.limits).late, 0),
            call("setsid", [], "start a session"),
            ...(hasTerminal
              ? [
                  call(
                    "ioctl",
                    [0, TTY_IOCTL.TIOCSCTTY, 0],
                    "make the terminal the controlling one",
                  ),
                ]
              : []),
            ...planConfinedProgram(process),
          ],
        },
        call("exit_group", [0], "leave"),
      ],
    },
    {
      control: "wait",
      for: register("joiner.pidfd"),
      until: "readable",
      reason: "wait for the process that entered",
    },
    call("pidfd_open", [register("pid"), 0], "hold the container's process", { result: "pidfd" }),
  ];
}

function planTerminalStreams(): Operation[] {
  return [0, 1, 2].map((fd) =>
    call("dup3", [register("slave"), fd, 0], `connect descriptor ${fd} to the terminal`),
  );
}

function waitFor(signal: Register): Operation {
  return { control: "wait", for: signal, until: "readable", reason: "wait for the limits" };
}

/** Into the container's cgroup and namespaces, and a terminal of its devpts, while descriptors are shared with the launcher. */
function planEnter(exec: OciExec, namespaces: bigint): Operation[] {
  const { oomScoreAdj, execCPUAffinity } = exec.process.spec;
  return [
    ...planGuard(),
    ...planAffinity(execCPUAffinity?.initial),
    ...exec.cgroup.enter,
    ...planAffinity(execCPUAffinity?.final),
    ...(oomScoreAdj === undefined ? [] : planOomScoreAdjust(oomScoreAdj)),
    ...exec.security.open,
    ...(namespaces === 0n
      ? []
      : [
          call("setns", [FIRST_INHERITED_FD, namespaces], "enter the container's namespaces", {
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
  ];
}
