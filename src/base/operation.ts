import type { ErrnoName } from "./errno.ts";
import type { ErrorCode } from "./error.ts";

/**
 * A plan is an ordered list of operations as data; planners in any room return them, launch/ compiles and runs them.
 * Nearly every operation is one plain system call. What it needs from earlier steps it names as a register.
 */
export type Operation =
  | Call
  | Fork
  | Branch
  | Load
  | Signal
  | Wait
  | Decimal
  | Exec
  | Init
  | Supervise
  | Rest;

/** The result of an earlier operation: a descriptor, a pid. Shared by both sides of a fork. */
export interface Register {
  readonly register: string;
}

/** One argument of a system call. Strings go as NUL-terminated text, arrays of strings as a NULL-terminated vector. */
export type Operand =
  | number
  | bigint
  | null
  | string
  | Uint8Array
  | Register
  | { readonly struct: readonly Field[] }
  | { readonly vector: readonly string[] }
  /** Zeroed memory with a name; every mention of the name is the same memory (each side of a fork has its own copy). */
  | { readonly scratch: string; readonly size: number };

/** A field of a structure: its width in bytes and its value; pointers are 8 wide. */
export type Field = readonly [width: 1 | 2 | 4 | 8, value: Operand];

interface Step {
  /** Why, in words that follow "to": `mount a fresh proc at /proc`. Shown by --explain and in errors ("Cannot …"). */
  readonly reason: string;
  /** What the user can do when this step fails, by errno; `default` for all others. */
  readonly hints?: Readonly<Partial<Record<ErrnoName | "default", string>>>;
  /** Whose fault it is when this step fails; without it the engine's or the host's ("internal"). */
  readonly code?: ErrorCode;
}

export interface Call extends Step {
  readonly call: string;
  readonly args: readonly Operand[];
  readonly result?: string;
  /** Errors that are fine; the register then holds the negative errno. `true`: any error. */
  readonly okErrors?: readonly ErrnoName[] | true;
}

/**
 * clone3: the child runs `child`, which must end in `exec` (or exit_group); `pid` and `pidfd` name registers for the
 * parent. The registers are shared by both sides, so each is set by one side only.
 */
export interface Fork extends Step {
  readonly control: "fork";
  readonly flags: bigint;
  /** Descriptor of a cgroup v2 directory: CLONE_INTO_CGROUP. */
  readonly intoCgroup?: Register;
  readonly pid: string;
  readonly pidfd: string;
  readonly child: readonly Operation[];
}

/** Runs `then` when the register is negative (an earlier call was allowed to fail and did), else `otherwise`. */
export interface Branch extends Step {
  readonly control: "branch";
  readonly ifNegative: Register;
  readonly then: readonly Operation[];
  readonly otherwise?: readonly Operation[];
}

/** Takes 4 bytes that a call wrote into a scratch area (pipe2's descriptors) into a register. */
export interface Load extends Step {
  readonly control: "load";
  readonly from: { readonly scratch: string; readonly size: number };
  readonly offset: number;
  readonly result: string;
}

/** Wakes the other side, which waits on the same eventfd. */
export interface Signal extends Step {
  readonly control: "signal";
  readonly eventfd: Register;
}

/** Waits for the descriptor to become readable, or to hang up; fails when `peer` (a pidfd) ends first. */
export interface Wait extends Step {
  readonly control: "wait";
  readonly for: Register | number;
  readonly until: "readable" | "hangup";
  readonly peer?: Register;
}

/** Writes a register as decimal text into a scratch area: for paths such as /proc/PID. */
export interface Decimal extends Step {
  readonly control: "decimal";
  readonly from: Register;
  readonly to: { readonly scratch: string; readonly size: number };
}

/** execve of the first candidate path that can be executed, as execvp(3) does. */
export interface Exec extends Step {
  readonly control: "exec";
  readonly candidates: readonly string[];
  readonly argv: readonly string[];
  readonly environment: readonly string[];
}

/** Becomes a minimal init: the child goes on with the next operation, this process forwards signals and reaps. */
export interface Init extends Step {
  readonly control: "init";
}

/** Becomes the supervisor (native/supervise.c). Never returns. */
export interface Supervise extends Step {
  readonly control: "supervise";
  /** The structure of native/launch.h, "struct supervise". */
  readonly config: Operand;
}

/** Where a plan that is launched ahead goes on with what is known later (launch/compile.ts); until then it ends here. */
export interface Rest extends Step {
  readonly control: "rest";
}

export function register(name: string): Register {
  return { register: name };
}

/** A system call as an operation: `call("fchmod", [register("fd"), 0o755], "make it readable")`. */
export function call(
  name: string,
  args: readonly Operand[],
  reason: string,
  more: Omit<Call, "call" | "args" | "reason"> = {},
): Call {
  return { call: name, args, reason, ...more };
}
