import { call, type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { AT, CLONE, O, OPEN_HOW_SIZE } from "../kernel/flags.ts";
import {
  type CapabilityPlan,
  planBoundingSet,
  planCapabilitySets,
} from "../namespaces/capabilities.ts";
import { planControllingTerminal } from "../namespaces/devices.ts";
import { openHow } from "../namespaces/mount-operations.ts";
import { type SupervisorHoldings, superviseStep } from "./supervise-step.ts";

/** What is common to a container's first process and an exec: streams, credentials, confinement, the program. */
export interface ProcessPlan {
  readonly argv: readonly string[];
  /** Paths to try in turn: PATH's directories, or the one that was named. */
  readonly candidates: readonly string[];
  readonly environment: readonly string[];
  readonly workingDirectory: string;
  /** As seen inside. */
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly capabilities: CapabilityPlan;
  readonly noNewPrivileges: boolean;
  /** Installs the seccomp filter; empty: unconfined. */
  readonly seccomp: readonly Operation[];
  readonly init: boolean;
  readonly tty: boolean;
  readonly terminalSize: { readonly rows: number; readonly columns: number };
  readonly openStdin: boolean;
  readonly closeStdinWithClient: boolean;
  readonly engineStreams: number;
  /** How many descriptors the launcher inherited beside its own ({@link FIRST_INHERITED_FD}); closed at the end. */
  readonly inheritedFds: number;
  /** A directory of its own (exists, empty, mode 0700): the supervisor's socket and exit record. */
  readonly runDirectory: string;
  /** null: nothing is logged. */
  readonly log: {
    readonly directory: string;
    readonly maxBytes: number;
    readonly keep: number;
    readonly next: number;
  } | null;
}

/** What a supervisor needs to know of its process. */
export type SupervisedPlan = Pick<
  ProcessPlan,
  | "tty"
  | "terminalSize"
  | "openStdin"
  | "closeStdinWithClient"
  | "engineStreams"
  | "inheritedFds"
  | "runDirectory"
  | "log"
>;

/** Where a launcher finds the descriptors that the engine passes along: after 0-2, its socket and its program. */
export const FIRST_INHERITED_FD = 5;

/** The launcher's socket to the engine. */
export const ENGINE_FD = 3;
const MSG_NOSIGNAL = 0x4000;
const SIGKILL = 9;
const PR = { SET_PDEATHSIG: 1, SET_DUMPABLE: 4, SET_NAME: 15, SET_NO_NEW_PRIVS: 38 };
const CLOSE_RANGE = { UNSHARE: 2 };
const ROOT_DIRECTORY = O.DIRECTORY | O.CLOEXEC;

/**
 * What both sides of the fork need, opened before it. Descriptors that the supervisor keeps come first, so that all later ones
 * can be closed by number: registers stdin/stdout/stderr ends, the slots, executed.
 */
export function planHoldings(plan: SupervisedPlan): Operation[] {
  return [
    ...planEndWithEngine(),
    ...(plan.tty ? [] : planPipes(plan)),
    ...slots(plan).map((slot) =>
      call("fcntl", [ENGINE_FD, F_DUPFD_CLOEXEC, 0], "keep a place for a descriptor", {
        result: slot,
      }),
    ),
    ...planPipe("executed", "see the program start"),
    ...(plan.tty
      ? [
          call(
            "eventfd2",
            [0, O.CLOEXEC],
            "make the signal that the container has its own descriptors",
            { result: "parted" },
          ),
        ]
      : []),
    call("eventfd2", [0, O.CLOEXEC], "make the signal that the container's tree is ready", {
      result: "prepared",
    }),
    call("fcntl", [ENGINE_FD, F_DUPFD_CLOEXEC, 0], "mark what serves preparation only", {
      result: "preparation",
    }),
  ];
}

/** How clients reach the supervisor, and where it writes: made while the other side of the fork is at work. */
export function planAnswering(plan: SupervisedPlan): Operation[] {
  const address = {
    struct: [
      [2, 1],
      [2, 0x73],
      [4, 0],
    ],
  } as const;
  return [
    call("prctl", [PR.SET_NAME, "tiffin-super", 0, 0, 0], "name the supervisor"),
    call("openat", [-100, plan.runDirectory, ROOT_DIRECTORY], "open the run directory", {
      result: "directory",
    }),
    call("fchdir", [register("directory")], "enter the run directory"),
    ...keep("directory"),
    call("socket", [1, 1 | O.CLOEXEC, 0], "make the supervisor's socket", { result: "listener" }),
    call("bind", [register("listener"), address, 4], "name the supervisor's socket"),
    call("listen", [register("listener"), 16], "listen for clients"),
    ...keep("listener"),
    call("chdir", ["/"], "leave the run directory"),
    ...(plan.log
      ? [
          call("openat", [-100, plan.log.directory, ROOT_DIRECTORY], "open the log's directory", {
            result: "log",
          }),
          ...keep("log"),
        ]
      : []),
  ];
}

/** In its slot it outlives the preparation. */
export function keep(held: string): Operation[] {
  return [call("dup3", [register(held), register(`slot.${held}`), O.CLOEXEC], "keep a descriptor")];
}

const F_DUPFD_CLOEXEC = 1030;

/** Places below what only the preparation needs, for what is opened later and stays. */
function slots({ tty, log }: SupervisedPlan): string[] {
  return [
    "slot.directory",
    "slot.listener",
    ...(log ? ["slot.log"] : []),
    "slot.pidfd",
    "slot.memory",
    ...(tty ? ["slot.terminal", "slot.slave"] : []),
  ];
}

/**
 * A launch that is not done when its engine dies would be nobody's. Who asks after its death was set sees a dead engine.
 * The kernel forgets the first with every change of the user over files (prctl(2), PR_SET_PDEATHSIG).
 */
export function planEndWithEngine(): Operation[] {
  return [
    call(
      "prctl",
      [PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0],
      "end with the engine while this is at work",
    ),
    call("sendto", [ENGINE_FD, "", 0, MSG_NOSIGNAL, null, 0], "see that the engine is there"),
  ];
}

function planPipe(name: string, purpose: string): Operation[] {
  const pair = { scratch: name, size: 8 };
  return [
    call("pipe2", [pair, O.CLOEXEC], `make a pipe to ${purpose}`),
    {
      control: "load",
      from: pair,
      offset: 0,
      result: `${name}.read`,
      reason: "take its reading end",
    },
    {
      control: "load",
      from: pair,
      offset: 4,
      result: `${name}.write`,
      reason: "take its writing end",
    },
  ];
}

/** Without an open stdin the program reads /dev/null (descriptor 0 of the launcher). */
function planPipes(plan: SupervisedPlan): Operation[] {
  return [
    ...(plan.openStdin ? planPipe("stdin", "pass input") : []),
    ...planPipe("stdout", "take output"),
    ...planPipe("stderr", "take error output"),
  ];
}

/** The counter of OOM kills stays open: the group may be gone before anyone looks. */
export function planMemoryEvents({ oomEventsPath }: CgroupPlan): Operation[] {
  if (oomEventsPath === undefined) return [];
  return [
    call(
      "openat",
      [-100, oomEventsPath, O.RDONLY | O.CLOEXEC, 0],
      "open the counter of OOM kills",
      { result: "memory" },
    ),
    ...keep("memory"),
  ];
}

/** The v2 group's descriptor has done its service. */
export function planForked({ intoCgroup }: CgroupPlan): Operation[] {
  return intoCgroup ? [call("close", [intoCgroup], "close the cgroup")] : [];
}

/** The supervisor keeps what it needs, sees the program start, and watches over the process. `leave`: what it opened before. */
export function planSupervise(
  plan: ProcessPlan,
  hasMemoryEvents: boolean,
  leave: readonly string[] = [],
): Operation[] {
  return [
    ...(plan.tty ? planTakeTerminal() : []),
    // Not by waiting for the other side to part: it would be interrupted by the one that it wakes.
    call("unshare", [CLONE.FILES], "have descriptors of its own"),
    ...planLeaveEnds(plan),
    call("close", [register("executed.write")], "leave the program's end to the container"),
    {
      control: "wait",
      for: register("executed.read"),
      until: "hangup",
      peer: register("slot.pidfd"),
      reason: "wait until the program runs",
    },
    // It takes a while, so the last one to do it is not the program's process.
    call(
      "close_range",
      [register("executed.read"), 0xffffffff, 0],
      "close the pipe that told it, and what only the preparation needed",
    ),
    ...leave.map((name) => call("close", [register(name)], "close what is done with")),
    ...planWatch(plan, hasMemoryEvents),
  ];
}

/** The process is held; its ends of the pipes are its own, and what was only inherited is closed. */
export function planLeaveEnds(plan: SupervisedPlan): Operation[] {
  const childEnds = plan.tty
    ? ["slot.slave"]
    : [...(plan.openStdin ? ["stdin.read"] : []), "stdout.write", "stderr.write"];
  return [
    ...keep("pidfd"),
    ...childEnds.map((name) => call("close", [register(name)], "leave this end to the container")),
    ...(plan.inheritedFds > 0
      ? [
          call(
            "close_range",
            [FIRST_INHERITED_FD, FIRST_INHERITED_FD + plan.inheritedFds - 1, 0],
            "close what was only inherited",
          ),
        ]
      : []),
  ];
}

/** The end of a supervisor's side: the process runs. */
export function planWatch(plan: SupervisedPlan, hasMemoryEvents: boolean): Operation[] {
  const when = (condition: boolean, name: string): Register | -1 =>
    condition ? register(name) : -1;
  const holdings: SupervisorHoldings = {
    pid: register("pid"),
    pidfd: register("slot.pidfd"),
    listener: register("slot.listener"),
    directory: register("slot.directory"),
    logDirectory: when(plan.log !== null, "slot.log"),
    memoryEvents: when(hasMemoryEvents, "slot.memory"),
    stdin: when(!plan.tty && plan.openStdin, "stdin.write"),
    stdout: when(!plan.tty, "stdout.read"),
    stderr: when(!plan.tty, "stderr.read"),
    terminal: when(plan.tty, "slot.terminal"),
    closeStdinWithClient: plan.closeStdinWithClient,
    engineStreams: plan.engineStreams,
    log: plan.log ?? { maxBytes: 0, keep: 0, next: 0 },
  };
  return [
    call("prctl", [PR.SET_PDEATHSIG, 0, 0, 0, 0], "live on without the engine"),
    superviseStep(holdings),
  ];
}

/** The container's side has opened it in the table that is shared until it parts. */
function planTakeTerminal(): Operation[] {
  return [
    {
      control: "wait",
      for: register("parted"),
      until: "readable",
      peer: register("pidfd"),
      reason: "wait until the container has its own descriptors",
    },
    ...keep("terminal"),
  ];
}

/** The child ends with its supervisor, and nobody inside can look into it before it is the program. */
export function planGuard(): Operation[] {
  return [
    call("prctl", [PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0], "end with the supervisor"),
    call("prctl", [PR.SET_DUMPABLE, 0, 0, 0, 0], "keep others from looking in"),
  ];
}

/** Root of the user namespace, so that what is made now belongs to the container. */
export function planBecomeRoot(): Operation[] {
  return [
    call("setgroups", [0, null], "leave the engine's groups"),
    call("setresgid", [0, 0, 0], "become the container's root group"),
    call("setresuid", [0, 0, 0], "become the container's root"),
    ...planGuard(),
  ];
}

/** With a scheduling group of its own, which takes the kernel a while: best before a wait. Container side. */
export function planSession(): Operation[] {
  return [call("setsid", [], "start a session")];
}

/** From the container's tree to the program: own descriptors, credentials, confinement, exec. Container side, in a session. */
export function planProgram(plan: ProcessPlan): Operation[] {
  return [
    ...planPart(plan),
    ...(plan.tty ? planControllingTerminal("slot.slave") : planStreams(plan)),
    ...planLeaveDescriptors(),
    ...planConfinedProgram(plan),
  ];
}

/** Until here both sides of the fork have one table of descriptors. */
export function planPart(plan: ProcessPlan): Operation[] {
  return [
    ...(plan.tty ? keep("slave") : []),
    // Without those of the preparation: the supervisor closes them, which takes a while, once the program runs.
    call(
      "close_range",
      [register("preparation"), 0xffffffff, CLOSE_RANGE.UNSHARE],
      "get descriptors of its own",
    ),
    ...(plan.tty
      ? [
          {
            control: "signal",
            eventfd: register("parted"),
            reason: "tell the supervisor",
          } as const,
        ]
      : []),
  ];
}

/** Credentials, confinement, exec; the standard streams are connected, and no other descriptor is the engine's. */
export function planConfinedProgram(plan: ProcessPlan): Operation[] {
  const { argv, candidates, environment } = plan;
  const command = argv[0] ?? "";
  return [
    call("umask", [0o022], "set the file mode creation mask"),
    ...planWorkingDirectory(plan.workingDirectory, { mayFail: true }),
    ...(plan.noNewPrivileges ? [] : plan.seccomp),
    ...planBoundingSet(plan.capabilities),
    ...planUser(plan),
    ...planCapabilitySets(plan.capabilities),
    ...(plan.noNewPrivileges
      ? [
          call("prctl", [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0], "give up gaining privileges"),
          ...plan.seccomp,
        ]
      : []),
    call("prctl", [PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0], "end with the supervisor"),
    {
      control: "branch",
      ifNegative: register("entered"),
      reason: "enter the working directory as the user, if root may not",
      then: planWorkingDirectory(plan.workingDirectory, {
        mayFail: false,
        hints: { EACCES: `The user ${plan.uid} may not enter it` },
      }),
    },
    ...(plan.init ? planInit(plan) : []),
    {
      control: "exec",
      candidates,
      argv,
      environment,
      reason: `run "${command}"`,
      hints: {
        ENOENT: `The image has no "${command}" in its PATH, or its interpreter is missing`,
        EACCES: `"${command}" is not executable: check its mode, and that it is a file`,
        ENOEXEC: `"${command}" is no program for this machine, or a script without a #! line`,
      },
    },
  ];
}

/** The only descriptor beside the standard streams that is there when the program is executed; it closes then. */
const EXECUTED_FD = 3;
const READY_FD = 4;

/**
 * From here on no path leads to anything of the host's: what is only marked to be closed at the exec can still be reached
 * as /proc/self/fd/N until then, by a working directory, a program's path or its interpreter's (CVE-2024-21626).
 */
function planLeaveDescriptors(): Operation[] {
  return [
    call("dup3", [register("executed.write"), EXECUTED_FD, O.CLOEXEC], "keep the pipe to the end"),
    call("close_range", [READY_FD, 0xffffffff, 0], "let go of all that is the engine's"),
  ];
}

/** The same for a process that forks the one that will wait: register `ready` is then what "prepared" was. */
export function planLeaveDescriptorsEarly(): Operation[] {
  return [
    call("dup3", [register("executed.write"), EXECUTED_FD, O.CLOEXEC], "keep the pipe to the end"),
    call("dup3", [register("prepared"), READY_FD, O.CLOEXEC], "keep the signal to go on", {
      result: "ready",
    }),
    call("close_range", [READY_FD + 1, 0xffffffff, 0], "let go of all that is the engine's"),
  ];
}

/**
 * Enters a directory below the container's root, never through a link of /proc's to an open file. Register `entered` is
 * negative when it could not. What the user named may be a file, or not be there: that is no fault of the engine's.
 */
export function planWorkingDirectory(
  path: string,
  options: { mayFail: boolean; hints?: Operation["hints"] },
): Operation[] {
  const reason = `enter the working directory ${path}`;
  const blame = {
    code: "invalid-argument" as const,
    hints: {
      ELOOP: "It leads through a link of /proc to an open file, or through too many links",
      ...options.hints,
    },
  };
  const opens = options.mayFail ? { okErrors: ["EACCES", "EPERM"] as const } : {};
  const enters = options.mayFail ? { okErrors: ["EACCES", "EPERM", "EBADF"] as const } : {};
  return [
    call("openat2", [AT.FDCWD, path, openHow(O.PATH | O.DIRECTORY), OPEN_HOW_SIZE], reason, {
      result: "cwd",
      ...blame,
      ...opens,
    }),
    call("fchdir", [register("cwd")], reason, { result: "entered", ...blame, ...enters }),
  ];
}

export function planStreams(plan: SupervisedPlan): Operation[] {
  return [
    ...(plan.openStdin
      ? [call("dup3", [register("stdin.read"), 0, 0], "connect standard input")]
      : []),
    call("dup3", [register("stdout.write"), 1, 0], "connect standard output"),
    call("dup3", [register("stderr.write"), 2, 0], "connect standard error"),
  ];
}

function planUser({ uid, gid, groups, capabilities }: ProcessPlan): Operation[] {
  const PR_SET_KEEPCAPS = 8;
  const list = Buffer.alloc(groups.length * 4);
  groups.forEach((group, index) => list.writeUInt32LE(group, index * 4));
  return [
    ...(capabilities.isRoot
      ? []
      : [call("prctl", [PR_SET_KEEPCAPS, 0, 0, 0, 0], "keep no capability beyond root")]),
    call(
      "setgroups",
      [groups.length, list.length === 0 ? null : list],
      "set the supplementary groups",
    ),
    call("setresgid", [gid, gid, gid], `become group ${gid}`),
    call("setresuid", [uid, uid, uid], `become user ${uid}`),
  ];
}

/** The init's child: a foreground process group of its own, no signal blocked. */
function planInit(plan: ProcessPlan): Operation[] {
  const TIOCSPGRP = 0x5410;
  return [
    call("prctl", [PR.SET_NAME, "tiffin-init", 0, 0, 0], "name the init"),
    { control: "init", reason: "stay behind as init" },
    call("setpgid", [0, 0], "start a process group"),
    ...(plan.tty
      ? [
          call("getpid", [], "learn the group's number", { result: "group" }),
          call(
            "ioctl",
            [0, TIOCSPGRP, { struct: [[4, register("group")]] }],
            "be in the foreground",
            { okErrors: true },
          ),
        ]
      : []),
    call("rt_sigprocmask", [2, { struct: [[8, 0]] }, null, 8], "take signals again"),
  ];
}
