import { fstatSync } from "node:fs";
import { invalidArgument } from "../base/error.ts";
import { call, type Operation, type Register, register } from "../base/operation.ts";
import { O, PR } from "../kernel/flags.ts";
import { FIRST_INHERITED_FD, planWorkingDirectory } from "../launch/process-plan.ts";
import { planControllingTerminal } from "../namespaces/devices.ts";
import type { ResourceLimit } from "../namespaces/rlimits.ts";
import { type CapabilitySets, planCredentials } from "./plan-credentials.ts";
import { planScheduling } from "./plan-scheduling.ts";
import type { Integer, SpecProcess, SpecRlimit } from "../base/runtime-spec.ts";

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

const PR_SET_PDEATHSIG = 1;
const DEFAULT_UMASK = 0o022;
const SIGKILL = 9;
/** The standard streams come first. */
const FIRST_FD = 3;

/** From the container's tree to the program. Container side; register `slave` holds the terminal when there is one. */
export function planProgram(process: OciProcess, kept: readonly string[]): Operation[] {
  return [
    ...planPart(),
    call("setsid", [], "start a session", { okErrors: ["EPERM"] }),
    ...(process.spec.terminal === true
      ? planControllingTerminal("slave")
      : ownStreams(process.spec.user?.uid ?? 0)),
    ...planLeaveDescriptors(process, kept),
    ...planConfinedProgram(process),
  ];
}

/** Until here both sides of the fork have one table of descriptors. */
export function planPart(): Operation[] {
  const CLOSE_RANGE_UNSHARE = 2;
  return [
    // Nothing is closed here: the highest descriptor there can be.
    call(
      "close_range",
      [0xffffffff, 0xffffffff, CLOSE_RANGE_UNSHARE],
      "get descriptors of its own",
    ),
    { control: "signal", eventfd: register("parted"), reason: "tell the runtime" },
  ];
}

/** The register of a descriptor that {@link planLeaveDescriptors} kept. */
export function keptRegister(name: string): Register {
  return register(`kept.${name}`);
}

/**
 * What the program gets goes to its places, what is needed until then behind it, and the rest is closed: what is only marked to be
 * closed at the exec can still be reached as /proc/self/fd/N until then, by a working directory, a program's path or its
 * interpreter's (CVE-2024-21626).
 * @param kept registers of what is needed, of which there are less than were opened before them
 */
export function planLeaveDescriptors(process: OciProcess, kept: readonly string[]): Operation[] {
  const { preserveFds, preservedFrom: from } = process;
  const first = FIRST_FD + preserveFds;
  return [
    // Inherited descriptors lie above their places: each is still there when its turn comes.
    ...Array.from({ length: preserveFds }, (_, index) =>
      call("dup3", [from + index, FIRST_FD + index, 0], `pass descriptor ${FIRST_FD + index} on`),
    ),
    ...kept.map((name, index) =>
      call("dup3", [register(name), first + index, O.CLOEXEC], `keep "${name}" to the end`, {
        result: keptRegister(name).register,
      }),
    ),
    call(
      "close_range",
      [first + kept.length, 0xffffffff, 0],
      "let go of all that is the runtime's",
    ),
  ];
}

/** Credentials, confinement, exec; the standard streams are connected, and no other descriptor is the runtime's. */
export function planConfinedProgram(process: OciProcess): Operation[] {
  const { spec, seccomp } = process;
  const isConfinedEarly = spec.noNewPrivileges !== true;
  const { umask = DEFAULT_UMASK } = spec.user ?? {};
  const command = spec.args?.[0] ?? "";
  return [
    call("umask", [umask], "set the file mode creation mask"),
    ...planWorkingDirectory(spec.cwd, { mayFail: true }),
    ...planScheduling(spec),
    ...process.also,
    ...(isConfinedEarly ? seccomp : []),
    ...planCredentials(spec.user ?? {}, process.capabilities, process.lastCapability),
    {
      control: "branch",
      ifNegative: register("entered"),
      reason: "enter the working directory as the user, if root may not",
      then: planWorkingDirectory(spec.cwd, { mayFail: false }),
    },
    ...(process.isKnown ? planLookUp(command, candidatesOf(process)) : []),
    ...(isConfinedEarly
      ? []
      : [call("prctl", [PR.SET_NO_NEW_PRIVS, 1, 0, 0, 0], "give up gaining privileges")]),
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
export function ownStreams(uid: number): Operation[] {
  if (uid === 0) return [];
  return [0, 1, 2].flatMap((fd) => {
    const status = fstatSync(fd);
    if (!status.isFIFO() && !status.isSocket()) return [];
    return [call("fchown", [fd, uid, -1], "give a stream to the user", { okErrors: true })];
  });
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
  const reason = isPath
    ? `run "${command}"`
    : `run "${command}": executable file not found in $PATH`;
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
    { control: "signal", eventfd: keptRegister("ready"), reason: "tell that all is ready" },
    call("read", [keptRegister("fifo"), { scratch: "go", size: 8 }, 1], "wait for start"),
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
