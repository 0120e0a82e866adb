import { call, type Operation, type Register, register } from "../base/operation.ts";
import type { CgroupPlan } from "../cgroups/plan.ts";
import { CLONE, MNT_DETACH, MOVE_MOUNT, O, S_IF } from "../kernel/flags.ts";
import { planPrivateTree } from "../namespaces/kernel-mounts.ts";
import {
  keep,
  planAnswering,
  planEndWithEngine,
  planHoldings,
  planLeaveEnds,
  planMemoryEvents,
  planStreams,
  planWatch,
  type SupervisedPlan,
} from "./process-plan.ts";
import { planQuestion, planStage } from "./tell-stage.ts";

/** An OCI runtime that is a program of the host's (runtime-spec, runtime.md; the command line is runc's). */
export interface RuntimeProgram {
  /** As it was asked for: `runc`. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly environment: readonly string[];
  /**
   * Mount point of the v2 side of a hybrid host, which no runtime gets to see: crun refuses to work beside it, and the v2 group
   * is entered by the fork.
   */
  readonly hidden: string | undefined;
}

/** One call of the runtime. */
interface RuntimeCall {
  readonly runtime: RuntimeProgram;
  /** After the program's name. */
  readonly words: readonly string[];
  /** What is being done: `create the container`. */
  readonly what: string;
}

/** What a supervisor of a runtime's process needs beside the call itself. */
interface RuntimeProcess {
  readonly process: SupervisedPlan;
  readonly cgroup: CgroupPlan;
  /** Written into the run directory first. */
  readonly files: readonly { readonly name: string; readonly text: string }[];
}

/** A detached mount that the runtime is to find by a path. */
export interface PlacedMount {
  readonly mount: Register;
  /** Below {@link RuntimeContainerPlan.place}. */
  readonly name: string;
  readonly kind: "directory" | "file";
}

export interface RuntimeContainerPlan extends RuntimeProcess {
  readonly create: RuntimeCall;
  readonly start: RuntimeCall;
  /** Makes detached mounts: the root in register `rootfs`, and those in `mounts`. */
  readonly prepare: readonly Operation[];
  /** As those of ContainerPlan: from outside once register `pid` is there, then from inside. */
  readonly links: readonly Operation[];
  readonly interfaces: readonly Operation[];
  /** Detached mounts that it leaves behind: they go with the mount namespace of the runtime's call. */
  readonly leftMounts: readonly Register[];
  /**
   * A directory that everybody may search: there, in a mount namespace of the runtime's call alone, it finds the root (ROOT_NAME) and
   * the mounts. They go with the call; the container's own tree has them then.
   */
  readonly place: string;
  readonly mounts: readonly PlacedMount[];
}

export interface RuntimeExecPlan extends RuntimeProcess {
  readonly exec: RuntimeCall;
  /** That of the container: runc wants to stand in the directory that was the root, whatever is in it. */
  readonly place: string;
}

export const ROOT_NAME = "rootfs";
/** The socket by which a runtime hands over a terminal, in the run directory, which the runtime stands in. */
export const CONSOLE_NAME = "console";

const PR = { SET_PDEATHSIG: 1, SET_CHILD_SUBREAPER: 36 };
const SIGKILL = 9;
const FILE_FLAGS = O.WRONLY | O.CLOEXEC | 0o100 | 0o200;

/**
 * A container that an OCI runtime makes. The supervisor is the nearest subreaper, so that the container's first process is its
 * child once `create` has ended, and all that follows (streams, log, exit status) is as for a container of ours. Pure.
 *
 * The engine answers one question on the way: the process number, which the runtime writes as text.
 */
export function planRuntimeContainer(plan: RuntimeContainerPlan): Operation[] {
  return [
    ...planBegin(plan),
    ...plan.cgroup.limit,
    ...planMemoryEvents(plan.cgroup),
    ...plan.prepare,
    // Making files as the container's root has undone it.
    ...planEndWithEngine(),
    ...planCall(plan.create, {
      intoCgroup: plan.cgroup.intoCgroup,
      before: planPlace(plan),
      after: plan.process.tty ? [] : planStreams(plan.process),
    }),
    ...planAdopt(plan.process),
    ...plan.links,
    ...planInside(plan.interfaces),
    ...planCall(plan.start, {}),
    ...planEnd(plan, plan.cgroup.oomEventsPath !== undefined),
  ];
}

/** One more process in a container that an OCI runtime made. Pure. */
export function planRuntimeExec(plan: RuntimeExecPlan): Operation[] {
  return [
    ...planBegin(plan),
    ...planCall(plan.exec, {
      intoCgroup: plan.cgroup.intoCgroup,
      before: planEmptyPlace(plan.place),
      after: plan.process.tty ? [] : planStreams(plan.process),
    }),
    ...planAdopt(plan.process),
    ...planEnd(plan, false),
  ];
}

/** A call of a runtime with nothing around it; tells of its end. Pure. */
export function planRuntimeCommand(command: RuntimeCall, runDirectory: string): Operation[] {
  return [
    call("openat", [-100, runDirectory, O.DIRECTORY | O.CLOEXEC, 0], "open the run directory", {
      result: "directory",
    }),
    ...planCall(command, {}),
    ...planStage(0, "it is done", false),
    call("exit_group", [0], "leave"),
  ];
}

function planBegin({ process, cgroup, files }: RuntimeProcess): Operation[] {
  return [
    ...planHoldings(process),
    ...planAnswering(process),
    ...files.flatMap(({ name, text }) => planFile(name, text)),
    ...(process.tty ? planConsoleSocket() : []),
    call(
      "prctl",
      [PR.SET_CHILD_SUBREAPER, 1, 0, 0, 0],
      "be the parent of what the runtime leaves behind",
    ),
    ...cgroup.create,
  ];
}

function planFile(name: string, text: string): Operation[] {
  const bytes = Buffer.from(text);
  return [
    call("openat", [register("directory"), name, FILE_FLAGS, 0o600], `make ${name}`, {
      result: "file",
    }),
    call("write", [register("file"), bytes, bytes.length], `write ${name}`),
    call("close", [register("file")], `close ${name}`),
  ];
}

function planConsoleSocket(): Operation[] {
  const address = Buffer.from(`\x01\0${CONSOLE_NAME}\0`);
  const SOCK_NONBLOCK = 0o4000;
  return [
    call("fchdir", [register("directory")], "enter the run directory"),
    call("socket", [1, 1 | O.CLOEXEC | SOCK_NONBLOCK, 0], "make a socket for the terminal", {
      result: "console",
    }),
    call("bind", [register("console"), address, address.length], "name the terminal's socket"),
    call("listen", [register("console"), 1], "wait for the terminal"),
    call("chdir", ["/"], "leave the run directory"),
  ];
}

/** Forks, runs the runtime, waits for its end, fails unless its status is 0. */
function planCall(
  { runtime, words, what }: RuntimeCall,
  around: {
    readonly intoCgroup?: Register | undefined;
    readonly before?: readonly Operation[];
    readonly after?: readonly Operation[];
  },
): Operation[] {
  const { intoCgroup, before = [], after = [] } = around;
  const joined = runtime.hidden === undefined ? undefined : intoCgroup;
  const status = { scratch: "status", size: 8 };
  const hasOwnTree = before.length > 0 || runtime.hidden !== undefined;
  return [
    {
      control: "fork",
      flags: CLONE.PIDFD | (joined ? CLONE.INTO_CGROUP : 0n),
      ...(joined ? { intoCgroup: joined } : {}),
      pid: "runtime",
      pidfd: "runtime.pidfd",
      reason: `start a process for ${runtime.name}`,
      child: [
        call("prctl", [PR.SET_PDEATHSIG, SIGKILL, 0, 0, 0], "end with the supervisor"),
        ...(hasOwnTree
          ? [
              call("unshare", [CLONE.NEWNS], "give the runtime mounts of its own"),
              ...planPrivateTree(),
            ]
          : []),
        ...(runtime.hidden === undefined
          ? []
          : [
              call(
                "umount2",
                [runtime.hidden, MNT_DETACH],
                "keep the v2 side of the host's cgroups from it",
                {
                  okErrors: ["EINVAL", "ENOENT"],
                },
              ),
            ]),
        ...before,
        call("fchdir", [register("directory")], "enter the run directory"),
        ...after,
        call("umask", [0o022], "set the file mode creation mask"),
        call("close_range", [3, 0xffffffff, 0], "let go of all that is the engine's"),
        {
          control: "exec",
          candidates: [runtime.path],
          argv: [runtime.path, ...words],
          environment: runtime.environment,
          reason: `run ${runtime.name} to ${what}`,
          hints: { ENOENT: `${runtime.path} is not there any more` },
        },
      ],
    },
    call("wait4", [register("runtime"), status, 0, null], `let ${runtime.name} ${what}`),
    ...planIsZero(status, `${what} with ${runtime.name}`),
    call("close", [register("runtime.pidfd")], "let go of the runtime's process"),
  ];
}

/** Steps in the container's network namespace, which a process of their own enters: a created container runs nothing yet. */
function planInside(steps: readonly Operation[]): Operation[] {
  if (steps.length === 0) return [];
  const status = { scratch: "status", size: 8 };
  return [
    {
      control: "fork",
      flags: CLONE.PIDFD,
      pid: "inside",
      pidfd: "inside.pidfd",
      reason: "start a process that enters the container's network",
      child: [
        call("setns", [register("pidfd"), CLONE.NEWNET], "enter the container's network"),
        ...steps,
        call("exit_group", [0], "leave"),
      ],
    },
    call("wait4", [register("inside"), status, 0, null], "wait until its interfaces are up"),
    ...planIsZero(status, "bring up the container's interfaces"),
    call("close", [register("inside.pidfd")], "let go of that process"),
  ];
}

/** futex(2) waits only while the word is the one that is given, and here for no time: a plan cannot compare numbers. */
function planIsZero(word: { scratch: string; size: number }, reason: string): Operation[] {
  const FUTEX_WAIT_PRIVATE = 128;
  const noTime = { scratch: "no time", size: 16 };
  return [
    call("futex", [word, FUTEX_WAIT_PRIVATE, 0, noTime, null, 0], reason, {
      okErrors: ["ETIMEDOUT"],
    }),
  ];
}

/** Where the runtime finds the root and all that it is to bind. Container side, in a mount namespace of its own. */
function planPlace({ place, leftMounts, mounts }: RuntimeContainerPlan): Operation[] {
  const attach = (mount: Register, name: string): Operation =>
    call(
      "move_mount",
      [mount, "", register("place"), name, MOVE_MOUNT.F_EMPTY_PATH],
      `mount ${place}/${name}`,
    );
  return [
    ...leftMounts.map((mount) =>
      call(
        "move_mount",
        [mount, "", -100, place, MOVE_MOUNT.F_EMPTY_PATH],
        "put what only the root's making needed there",
      ),
    ),
    ...planEmptyPlace(place),
    attach(register("rootfs"), ROOT_NAME),
    ...mounts.flatMap(({ mount, name, kind }) => [
      kind === "directory"
        ? call("mkdirat", [register("place"), name, 0o755], `make ${place}/${name}`)
        : call("mknodat", [register("place"), name, S_IF.REG | 0o644, 0], `make ${place}/${name}`),
      attach(mount, name),
    ]),
  ];
}

function planEmptyPlace(place: string): Operation[] {
  return [
    call(
      "mount",
      ["tiffin", place, "tmpfs", 0, "mode=755"],
      `mount a place for the root at ${place}`,
    ),
    call("openat", [-100, place, O.PATH | O.DIRECTORY | O.CLOEXEC, 0], "open the place", {
      result: "place",
    }),
    call("mkdirat", [register("place"), ROOT_NAME, 0o755], `make ${place}/${ROOT_NAME}`),
  ];
}

/** The process that the runtime left behind becomes the supervisor's: registers `pid`, `pidfd`, `terminal`. */
function planAdopt({ tty, terminalSize }: SupervisedPlan): Operation[] {
  const [P_PID, WNOHANG, WEXITED, WNOWAIT] = [1, 1, 4, 0x1000000];
  return [
    ...planQuestion("the runtime has left a process", "pid"),
    call("pidfd_open", [register("pid"), 0], "hold the process", { result: "pidfd" }),
    call(
      "waitid",
      [
        P_PID,
        register("pid"),
        { scratch: "siginfo", size: 128 },
        WEXITED | WNOHANG | WNOWAIT,
        null,
      ],
      "see that the process is a child",
      {
        hints: { ECHILD: "The runtime told the number of a process that it did not leave behind" },
      },
    ),
    ...(tty ? planTerminal(terminalSize) : []),
  ];
}

/** Takes the terminal that the runtime has sent (runtime-spec: a message with one descriptor). */
function planTerminal(size: SupervisedPlan["terminalSize"]): Operation[] {
  const TIOCSWINSZ = 0x5414;
  const MSG_CMSG_CLOEXEC = 0x40000000;
  const control = { scratch: "console control", size: 64 };
  const text = { scratch: "console text", size: 4096 };
  const message = {
    struct: [
      [8, 0],
      [8, 0],
      [
        8,
        {
          struct: [
            [8, text],
            [8, 4096],
          ],
        },
      ],
      [8, 1],
      [8, control],
      [8, 64],
      [8, 0],
    ],
  } as const;
  return [
    call("accept4", [register("console"), null, null, O.CLOEXEC], "take the runtime's connection", {
      result: "console.client",
      hints: { EAGAIN: "The runtime has sent no terminal" },
    }),
    call("recvmsg", [register("console.client"), message, MSG_CMSG_CLOEXEC], "take the terminal"),
    // After struct cmsghdr.
    {
      control: "load",
      from: control,
      offset: 16,
      result: "terminal",
      reason: "take its descriptor",
    },
    ...(size.rows + size.columns === 0
      ? []
      : [
          call(
            "ioctl",
            [
              register("terminal"),
              TIOCSWINSZ,
              {
                struct: [
                  [2, size.rows],
                  [2, size.columns],
                  [4, 0],
                ],
              },
            ],
            `make the terminal ${size.columns} by ${size.rows}`,
          ),
        ]),
  ];
}

function planEnd({ process }: RuntimeProcess, hasMemoryEvents: boolean): Operation[] {
  return [
    ...(process.tty ? keep("terminal") : []),
    ...planLeaveEnds(process),
    call(
      "close_range",
      [register("executed.read"), 0xffffffff, 0],
      "close what only the preparation needed",
    ),
    ...planWatch(process, hasMemoryEvents),
  ];
}
