import { fstatSync } from "node:fs";
import { invalidArgument } from "../base/error.ts";
import { call, type Operation, register } from "../base/operation.ts";
import { PR } from "../kernel/flags.ts";
import { FIRST_INHERITED_FD } from "../launch/process-plan.ts";
import { planControllingTerminal } from "../namespaces/devices.ts";
import type { ResourceLimit } from "../namespaces/rlimits.ts";
import { type CapabilitySets, planCredentials } from "./plan-credentials.ts";
import { planScheduling } from "./plan-scheduling.ts";
import type { Integer, SpecProcess, SpecRlimit } from "./runtime-spec.ts";

/** One process in a container: the first one, or one that exec adds. */
export interface OciProcess {
  readonly spec: SpecProcess;
  readonly capabilities: CapabilitySets;
  readonly lastCapability: number;
  /** With HOME. */
  readonly environment: readonly string[];
  /** Installs the filter; empty: unconfined. */
  readonly seccomp: readonly Operation[];
  /** Descriptors from 3 on that the program gets, as many inherited ones of the launcher from `preservedFrom` on. */
  readonly preserveFds: number;
  readonly preservedFrom: number;
  /** Before the program: what happens beside the common (personality, security module). */
  readonly also: readonly Operation[];
  /** `fifo`: once all is ready the process tells it and waits for a byte in register `fifo`. */
  readonly gate: "none" | "fifo";
  /** False: the program is not known yet, and is not looked for. */
  readonly isKnown: boolean;
  /** The program, when it is not args[0]. */
  readonly program?: string;
}

const CLOSE_RANGE = { UNSHARE: 2, CLOEXEC: 4 };
const PR_SET_PDEATHSIG = 1;
const DEFAULT_UMASK = 0o022;
const SIGKILL = 9;

/** From the container's tree to the program. Container side; register `slave` holds the terminal when there is one. */
export function planProgram(process: OciProcess): Operation[] {
  const { spec, seccomp } = process;
  const isConfinedEarly = spec.noNewPrivileges !== true;
  const { uid = 0, umask = DEFAULT_UMASK } = spec.user ?? {};
  const command = spec.args?.[0] ?? "";
  return [
    call(
      "close_range",
      [3, 0xffffffff, CLOSE_RANGE.UNSHARE | CLOSE_RANGE.CLOEXEC],
      "get descriptors of its own",
    ),
    { control: "signal", eventfd: register("parted"), reason: "tell the runtime" },
    call("setsid", [], "start a session", { okErrors: ["EPERM"] }),
    ...(spec.terminal === true ? planControllingTerminal("slave") : ownStreams(uid)),
    call("umask", [umask], "set the file mode creation mask"),
    call("chdir", [spec.cwd], `enter the working directory ${spec.cwd}`, {
      result: "entered",
      okErrors: ["EACCES", "EPERM"],
    }),
    ...planScheduling(spec),
    ...process.also,
    ...(isConfinedEarly ? seccomp : []),
    ...planCredentials(spec.user ?? {}, process.capabilities, process.lastCapability),
    {
      control: "branch",
      ifNegative: register("entered"),
      reason: "enter the working directory as the user, if root may not",
      then: [call("chdir", [spec.cwd], `enter the working directory ${spec.cwd}`)],
    },
    ...(process.isKnown ? planLookUp(command, candidatesOf(process)) : []),
    ...(isConfinedEarly
      ? []
      : [call("prctl", [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0], "give up gaining privileges")]),
    ...planPreserved(process),
    call("prctl", [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0], "end with the runtime until it is done"),
    ...(isConfinedEarly ? [] : seccomp),
    ...planGate(process),
    {
      control: "exec",
      candidates: candidatesOf(process),
      argv: spec.args ?? [],
      environment: process.environment,
      reason: `run "${command}"`,
    },
  ];
}

/** The program must be able to open /dev/stdout and the like anew: pipes and sockets become its user's. */
function ownStreams(uid: number): Operation[] {
  if (uid === 0) return [];
  return [0, 1, 2].flatMap((fd) => {
    const status = fstatSync(fd);
    if (!status.isFIFO() && !status.isSocket()) return [];
    return [call("fchown", [fd, uid, -1], "give a stream to the user", { okErrors: true })];
  });
}

/** Above the launcher's own descriptors, and so above where they go to: each is still there when its turn comes. */
function planPreserved({ preserveFds, preservedFrom }: OciProcess): Operation[] {
  return Array.from({ length: preserveFds }, (_, index) =>
    call("dup3", [preservedFrom + index, 3 + index, 0], `pass descriptor ${3 + index} on`),
  );
}

/** Where a command may be: itself when it names a path, else below each directory of PATH (execvp(3)). */
function candidatesOf({ spec, environment, program }: OciProcess): string[] {
  if (program !== undefined) return [program];
  const command = spec.args?.[0] ?? "";
  if (command.includes("/")) return [command];
  const path = environment.find((variable) => variable.startsWith("PATH="))?.slice(5) ?? "";
  const directories = path.split(":").map((directory) => (directory === "" ? "." : directory));
  return directories.map((directory) => `${directory}/${command}`);
}

const X_OK = 1;

/** A program that is not there is an error of create already. */
function planLookUp(command: string, candidates: readonly string[]): Operation[] {
  const [first = command, ...rest] = candidates;
  const isPath = command.includes("/");
  const reason = isPath ? `run "${command}"` : `run "${command}": executable file not found in $PATH`;
  if (rest.length === 0) return [call("faccessat", [-100, first, X_OK], reason)];
  return [
    call("faccessat", [-100, first, X_OK], `look for ${first}`, {
      result: "found",
      okErrors: ["ENOENT", "ENOTDIR", "EACCES"],
    }),
    {
      control: "branch",
      ifNegative: register("found"),
      reason: `look on where ${first} is not`,
      then: planLookUp(command, rest),
    },
  ];
}

/** From here on it is nobody's child that matters: whoever started the runtime may be gone. */
function planGate({ gate }: OciProcess): Operation[] {
  const live = call("prctl", [PR_SET_PDEATHSIG, 0, 0, 0, 0], "live on without the runtime");
  if (gate === "none") return [live];
  return [
    live,
    { control: "signal", eventfd: register("ready"), reason: "tell that all is ready" },
    call("read", [register("fifo"), { scratch: "go", size: 8 }, 1], "wait for start"),
  ];
}

const RLIMIT_INFINITY = 2n ** 63n;

/** @throws invalid-argument for an unknown limit (planRlimits) or one that is no number of 64 bits */
export function resourceLimits(limits: readonly SpecRlimit[] = []): ResourceLimit[] {
  return limits.map(({ type, soft, hard }) => {
    const [, name] = /^RLIMIT_([A-Z]+)$/.exec(type) ?? [];
    if (name === undefined) {
      throw invalidArgument(`Cannot set ${JSON.stringify(type)}: there is no such limit`);
    }
    return { name: name.toLowerCase(), soft: limitOf(soft), hard: limitOf(hard) };
  });
}

/** What is beyond any real value is no limit: the kernel's own infinity is 2^64-1. */
function limitOf(value: Integer): number {
  return value < 0 || BigInt(value) >= RLIMIT_INFINITY ? -1 : Number(value);
}

/** The first inherited descriptor after those that the plan itself needs. */
export function preservedFrom(others: number): number {
  return FIRST_INHERITED_FD + others;
}
