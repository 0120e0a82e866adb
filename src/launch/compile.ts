import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import type { Operand, Operation, Register } from "../base/operation.ts";
import { type Architecture, syscallNumber } from "../base/syscall-number.ts";
import { CLONE } from "../kernel/flags.ts";
import {
  type Argument,
  dataOffset,
  encodeInstructions,
  encodeProgram,
  HEADER_SIZE,
  type Instruction,
  OP_SIZE,
  type Room,
} from "./encode-program.ts";
import { ProgramData } from "./program-data.ts";

/** The numbers of native/launch.h. */
const KIND = {
  syscall: 0,
  fork: 1,
  branch: 2,
  store: 3,
  load: 4,
  wait: 5,
  decimal: 6,
  exec: 7,
  init: 8,
  supervise: 9,
};
const ARGUMENT = { number: 0, register: 1, address: 2 };
const NO_REGISTER = 0xffff;
const SIGCHLD = 17;

/** Always register 0: another engine that finds a supervisor reads the pid there without knowing the plan. */
export const PID_REGISTER = "pid";

export type Side = "supervisor" | "container";

/** One operation of the binary program and the planned operation that it came from. */
export interface CompiledStep {
  readonly operation: Operation;
  readonly side: Side;
}

export interface LaunchProgram {
  /** What native/launch.c reads. */
  readonly bytes: Uint8Array;
  /** By index of the program's operations: what a report's numbers mean. */
  readonly steps: readonly CompiledStep[];
  /** By name: the index of each register in a report. */
  readonly registers: ReadonlyMap<string, number>;
  /** How many of the steps, from the first on, ran before anyone asked for the rest. */
  readonly ahead: number;
}

/** What a plan that was launched ahead goes on with, on both sides of its fork. */
export interface RestOfPlan {
  readonly supervisor: readonly Operation[];
  readonly container: readonly Operation[];
}

/** Bytes to be written into a program that runs already, and waits. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

interface CompletedProgram {
  readonly program: LaunchProgram;
  readonly patches: readonly Patch[];
}

/** A program whose two sides end in a "rest". */
export interface FirstPart {
  readonly program: LaunchProgram;
  /** Once, when the rest is known: the whole program, and what to write before it goes on. undefined: there is no room. */
  complete(rest: RestOfPlan): CompletedProgram | undefined;
}

/**
 * Compiles a plan to the binary launch program (native/launch.h): operations of fixed size, then relocations, then data.
 * @throws internal when the plan uses a register before any step sets it, or a system call that the architecture lacks
 */
export function compile(plan: readonly Operation[], architecture: Architecture): LaunchProgram {
  const compiler = new Compiler(architecture);
  compiler.define(PID_REGISTER, "supervisor");
  compiler.block(plan, "supervisor");
  return compiler.finish();
}

/** The same for a plan that ends in a "rest" on each side, with room for what is to come. */
export function compileFirstPart(
  plan: readonly Operation[],
  architecture: Architecture,
  room: Room,
): FirstPart {
  const compiler = new Compiler(architecture);
  compiler.define(PID_REGISTER, "supervisor");
  compiler.block(plan, "supervisor");
  return { program: compiler.finish(room), complete: (rest) => compiler.complete(rest, room) };
}

class Compiler {
  private readonly instructions: Instruction[] = [];
  private readonly steps: CompiledStep[] = [];
  private readonly registers = new Map<string, number>();
  private readonly setters = new Map<string, Side>();
  private readonly data = new ProgramData();
  private readonly architecture: Architecture;
  private readonly rests = new Map<Side, { step: CompiledStep; instruction: Instruction }>();
  private relocated = 0;
  private readonly children: { fork: Instruction; operations: readonly Operation[] }[] = [];

  constructor(architecture: Architecture) {
    this.architecture = architecture;
  }

  block(operations: readonly Operation[], side: Side): void {
    for (const operation of operations) this.operation(operation, side);
  }

  finish(room?: Room): LaunchProgram {
    this.forkedSides();
    const { bytes: data, relocations } = this.data.finish();
    this.relocated = relocations.length;
    const { instructions, registers, steps } = this;
    const parts = { instructions, registers: registers.size, relocations, data };
    return { bytes: encodeProgram(parts, room), steps: [...steps], registers, ahead: 0 };
  }

  /** The container's side stands after the supervisor's, which never runs off its end. */
  private forkedSides(): void {
    for (let child = this.children.shift(); child; child = this.children.shift()) {
      child.fork.number = this.instructions.length;
      this.block(child.operations, "container");
    }
  }

  complete(rest: RestOfPlan, room: Room): CompletedProgram | undefined {
    const ahead = this.instructions.length;
    const dataBefore = this.data.finish().bytes.length;
    for (const side of ["supervisor", "container"] as const) {
      this.restOf(side).instruction.number = this.instructions.length;
      this.block(rest[side], side);
    }
    this.forkedSides();
    this.relocateByItself();
    const { bytes: data } = this.data.finish();
    const { instructions, registers, steps } = this;
    if (
      instructions.length > room.operations ||
      registers.size > room.registers ||
      data.length > room.data
    ) {
      return undefined;
    }
    const dataAt = dataOffset(room.operations, this.relocated);
    const patches = [
      { offset: dataAt + dataBefore, bytes: data.subarray(dataBefore) },
      { offset: HEADER_SIZE + ahead * OP_SIZE, bytes: encoded(instructions.slice(ahead)) },
      ...[...this.rests.values()].map(({ instruction }) => ({
        offset: HEADER_SIZE + instructions.indexOf(instruction) * OP_SIZE,
        bytes: encoded([instruction]),
      })),
    ];
    // What was launched has the bytes of the first part.
    return { program: { bytes: new Uint8Array(), steps, registers, ahead }, patches };
  }

  private restOf(side: Side): { step: CompiledStep; instruction: Instruction } {
    const found = this.rests.get(side);
    if (!found) throw new TiffinError("internal", `Cannot compile: the ${side} has no rest`);
    return found;
  }

  /** The launcher relocates what it starts with. Pointers that came later are set by the supervisor, first of all. */
  private relocateByItself(): void {
    const { step, instruction } = this.restOf("supervisor");
    const goOn = instruction.number;
    instruction.number = this.instructions.length;
    for (const { at, target } of this.data.relocationsFrom(this.relocated)) {
      this.emit(step, {
        kind: KIND.store,
        arguments: [[ARGUMENT.address, at], [ARGUMENT.address, target], immediate(8)],
        number: 0,
      });
    }
    this.emit(step, { kind: KIND.branch, arguments: [immediate(-1)], number: goOn });
  }

  private emit(step: CompiledStep, instruction: Instruction): Instruction {
    this.instructions.push(instruction);
    this.steps.push(step);
    return instruction;
  }

  private operation(operation: Operation, side: Side): void {
    const step = { operation, side };
    if ("call" in operation) {
      const number = syscallNumber(operation.call, this.architecture);
      if (number < 0)
        throw new TiffinError("internal", `Cannot compile: no system call "${operation.call}"`);
      const args = operation.args.map((operand) => this.argument(step, operand));
      const okErrors = operation.okErrors ?? [];
      this.emit(step, {
        kind: KIND.syscall,
        arguments: args,
        number,
        result: operation.result === undefined ? NO_REGISTER : this.define(operation.result, side),
        fineErrors: okErrors === true ? [] : okErrors.map((name) => ERRNO[name]),
        anyErrorIsFine: okErrors === true,
      });
      return;
    }
    this.control(operation, step);
  }

  private control(operation: Exclude<Operation, { call: string }>, step: CompiledStep): void {
    switch (operation.control) {
      case "fork":
        this.fork(operation, step);
        return;
      case "branch":
        this.branch(operation, step);
        return;
      case "load": {
        const [kind, offset] = this.address(step, operation.from);
        this.emit(step, {
          kind: KIND.load,
          arguments: [[kind, Number(offset) + operation.offset]],
          result: this.define(operation.result, step.side),
          number: 0,
        });
        return;
      }
      case "signal":
        this.emit(step, {
          kind: KIND.syscall,
          arguments: [
            this.use(operation.eventfd),
            this.address(step, { struct: [[8, 1]] }),
            immediate(8),
          ],
          number: syscallNumber("write", this.architecture),
        });
        return;
      case "wait":
        this.emit(step, {
          kind: KIND.wait,
          arguments: [
            this.argument(step, operation.for),
            operation.peer ? this.use(operation.peer) : immediate(-1),
            immediate(operation.until === "hangup" ? 1 : 0),
          ],
          number: 0,
        });
        return;
      case "decimal":
        this.emit(step, {
          kind: KIND.decimal,
          arguments: [this.address(step, operation.to), this.use(operation.from)],
          result: this.define(`${operation.to.scratch}.length`, step.side),
          number: 0,
        });
        return;
      case "exec":
        this.emit(step, {
          kind: KIND.exec,
          arguments: [operation.candidates, operation.argv, operation.environment].map((vector) =>
            this.address(step, { vector }),
          ),
          number: 0,
        });
        return;
      case "init":
        this.emit(step, { kind: KIND.init, arguments: [], number: 0 });
        return;
      case "supervise":
        this.emit(step, {
          kind: KIND.supervise,
          arguments: [this.argument(step, operation.config)],
          number: 0,
        });
        return;
      case "rest":
        this.rest(step);
    }
  }

  /** A jump to what comes next, until it is known where else: the end of a program that nobody goes on with. */
  private rest(step: CompiledStep): void {
    const instruction = this.emit(step, {
      kind: KIND.branch,
      arguments: [immediate(-1)],
      number: this.instructions.length + 1,
    });
    this.rests.set(step.side, { step, instruction });
    const number = syscallNumber("exit_group", this.architecture);
    this.emit(step, { kind: KIND.syscall, arguments: [immediate(0)], number });
  }

  private fork(operation: Extract<Operation, { control: "fork" }>, step: CompiledStep): void {
    const pidfd = { scratch: `${operation.pidfd}.clone3`, size: 8 };
    // With CLONE_PARENT the exit signal is the caller's own (clone(2)).
    const exitSignal = (operation.flags & CLONE.PARENT) === 0n ? SIGCHLD : 0;
    const args: Operand = {
      struct: [
        [8, operation.flags],
        [8, pidfd],
        [8, 0],
        [8, 0],
        [8, exitSignal],
        [8, 0],
        [8, 0],
        [8, 0],
        [8, 0],
        [8, 0],
        [8, operation.intoCgroup ?? 0],
      ],
    };
    const fork = this.emit(step, {
      kind: KIND.fork,
      arguments: [this.address(step, args), immediate(88)],
      result: this.define(operation.pid, "supervisor"),
      number: 0,
    });
    this.emit(step, {
      kind: KIND.load,
      arguments: [this.address(step, pidfd)],
      result: this.define(operation.pidfd, "supervisor"),
      number: 0,
    });
    this.children.push({ fork, operations: operation.child });
    // The parent may use what the child sets, once it has waited for it.
    for (const [name, side] of results(operation.child)) this.define(name, side);
  }

  private branch(operation: Extract<Operation, { control: "branch" }>, step: CompiledStep): void {
    const condition = this.emit(step, {
      kind: KIND.branch,
      arguments: [this.use(operation.ifNegative)],
      number: 0,
    });
    this.block(operation.otherwise ?? [], step.side);
    const over = this.emit(step, { kind: KIND.branch, arguments: [immediate(-1)], number: 0 });
    condition.number = this.instructions.length;
    this.block(operation.then, step.side);
    over.number = this.instructions.length;
  }

  /** Both sides run at the same time and share the registers: each register has one side that sets it. */
  define(name: string, side: Side): number {
    const setter = this.setters.get(name) ?? side;
    if (setter !== side) {
      throw new TiffinError("internal", `Cannot compile: both sides set register "${name}"`);
    }
    this.setters.set(name, side);
    const known = this.registers.get(name);
    if (known !== undefined) return known;
    this.registers.set(name, this.registers.size);
    return this.registers.size - 1;
  }

  private use(operand: Register): Argument {
    const index = this.registers.get(operand.register);
    if (index === undefined) {
      throw new TiffinError(
        "internal",
        `Cannot compile: nothing sets register "${operand.register}"`,
      );
    }
    return [ARGUMENT.register, index];
  }

  private argument(step: CompiledStep, operand: Operand): Argument {
    if (operand === null) return immediate(0);
    if (typeof operand === "number" || typeof operand === "bigint") return immediate(operand);
    if (typeof operand === "object" && "register" in operand) return this.use(operand);
    return this.address(step, operand);
  }

  /** Puts an operand into the data; registers inside a structure become stores that run just before the step. */
  private address(step: CompiledStep, operand: Operand): Argument {
    const { offset, stores } = this.data.place(operand);
    for (const store of stores) {
      this.emit(step, {
        kind: KIND.store,
        arguments: [
          [ARGUMENT.address, store.offset],
          this.use(store.register),
          immediate(store.width),
        ],
        number: 0,
      });
    }
    return [ARGUMENT.address, offset];
  }
}

function encoded(instructions: readonly Instruction[]): Uint8Array {
  const words = new Uint32Array((instructions.length * OP_SIZE) / 4);
  encodeInstructions(words, 0, instructions);
  return new Uint8Array(words.buffer);
}

/** What a child's operations set, and for which side: what a child forks is watched by the supervisor all the same. */
function* results(operations: readonly Operation[]): Generator<[name: string, side: Side]> {
  for (const operation of operations) {
    if ("call" in operation) {
      if (operation.result !== undefined) yield [operation.result, "container"];
    } else if (operation.control === "load") {
      yield [operation.result, "container"];
    } else if (operation.control === "fork") {
      yield [operation.pid, "supervisor"];
      yield [operation.pidfd, "supervisor"];
      yield* results(operation.child);
    } else if (operation.control === "branch") {
      yield* results([...operation.then, ...(operation.otherwise ?? [])]);
    }
  }
}

function immediate(value: number | bigint): Argument {
  return [ARGUMENT.number, value];
}
