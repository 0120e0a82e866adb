import { readSync } from "node:fs";
import { messageOf, TiffinError } from "../base/error.ts";
import { call, type Operation } from "../base/operation.ts";
import { closeFd, createMemoryFile, openProcess } from "../kernel/process.ts";
import { syscall, syscallRaw } from "../kernel/syscall.ts";
import { launcherExecutable } from "../launch/launcher-executable.ts";
import { planEndWithEngine } from "../launch/process-plan.ts";
import { startProgram } from "../launch/run-program.ts";
import type { ContainerState } from "./container-status.ts";
import type { HookKind, SpecHook } from "../base/runtime-spec.ts";

const CLOSE_RANGE_CLOEXEC = 4;
const SIGKILL = 9;
/** Of what a failed hook printed, in its error. */
const SHOWN_BYTES = 2048;

/** How a hook's process is started: in the runtime's namespaces, or by {@link HookPlace.plan} in the container's. */
export interface HookPlace {
  /** Ends in the hook itself. Descriptors 0, 1 and 2 are the hook's. */
  readonly plan: (hook: SpecHook) => readonly Operation[];
  readonly inherited: readonly number[];
  /** The plan tells the hook's pid as a stage; else the launcher itself becomes the hook. */
  readonly forks: boolean;
}

/** The runtime's namespaces. */
export const HOST_PLACE: HookPlace = { plan: planHostHook, inherited: [], forks: false };

function planHostHook(hook: SpecHook): Operation[] {
  return [
    ...planEndWithEngine(),
    call("close_range", [3, 0xffffffff, CLOSE_RANGE_CLOEXEC], "keep descriptors from the hook"),
    {
      control: "exec",
      candidates: [hook.path],
      argv: hook.args ?? [hook.path],
      environment: hook.env ?? [],
      reason: `run ${hook.path}`,
    },
  ];
}

/**
 * Runs hooks in order, each with the state on its standard input (config.md, "POSIX-platform Hooks").
 * @throws internal for the first that fails; the others do not run
 */
export function runHooks(
  kind: HookKind,
  hooks: readonly SpecHook[] | undefined,
  state: ContainerState,
  place: HookPlace = HOST_PLACE,
): void {
  for (const hook of hooks ?? []) runHook(kind, hook, state, place);
}

function runHook(kind: HookKind, hook: SpecHook, state: ContainerState, place: HookPlace): void {
  const input = createMemoryFile("tiffin-state", Buffer.from(JSON.stringify(state)), {
    sealed: false,
  });
  syscall("lseek", input, 0, 0);
  const output = createMemoryFile("tiffin-hook", new Uint8Array(), { sealed: false });
  try {
    const program = startProgram({
      executable: launcherExecutable(),
      plan: place.plan(hook),
      name: "tiffin-hook",
      streams: [input, output, output],
      inherited: place.inherited,
    });
    try {
      let pid = program.launcherPid;
      if (place.forks) pid = program.stage();
      else program.executed();
      const failure = waitFor(pid, hook.timeout);
      if (place.forks) syscallRaw("wait4", program.launcherPid, null, 0, null);
      if (failure === undefined) return;
      throw new TiffinError("internal", `${failure}${shown(output)}`);
    } finally {
      program.close();
    }
  } catch (error) {
    throw new TiffinError(
      "internal",
      `Cannot run the ${kind} hook ${hook.path}: ${messageOf(error)}`,
      { cause: error },
    );
  } finally {
    closeFd(input);
    closeFd(output);
  }
}

/** What went wrong, in words; undefined: nothing. */
function waitFor(pid: number, timeoutSeconds: number | undefined): string | undefined {
  const status = new Int32Array(1);
  if (timeoutSeconds !== undefined && !endsWithin(pid, timeoutSeconds)) {
    syscallRaw("kill", pid, SIGKILL);
    syscallRaw("wait4", pid, null, 0, null);
    return `it did not end within ${timeoutSeconds} s`;
  }
  syscall("wait4", pid, new Uint8Array(status.buffer), 0, null);
  const value = status[0] ?? 0;
  if (value === 0) return undefined;
  const signal = value & 0x7f;
  return signal === 0 ? `exit status ${(value >> 8) & 0xff}` : `ended by signal ${signal}`;
}

function endsWithin(pid: number, seconds: number): boolean {
  const pidfd = openProcess(pid);
  if (pidfd === undefined) return true;
  const poll = new Int32Array([pidfd, 1]);
  const time = new BigInt64Array([BigInt(seconds), 0n]);
  const found = syscallRaw(
    "ppoll",
    new Uint8Array(poll.buffer),
    1,
    new Uint8Array(time.buffer),
    null,
    8,
  );
  closeFd(pidfd);
  return found > 0;
}

function shown(output: number): string {
  const bytes = Buffer.alloc(SHOWN_BYTES);
  const size = readSync(output, bytes, 0, bytes.length, 0);
  const text = bytes.toString("utf8", 0, size).trim();
  return text === "" ? "" : `: ${text}`;
}
