import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import type { Operand, Operation, Register } from "../base/operation.ts";
import { type Architecture, syscallNumber } from "../base/syscall-number.ts";
import { CLONE } from "../kernel/flags.ts";
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
const MAGIC = 0x314e4654;
const HEADER_SIZE = 24;
const OP_SIZE = 72;
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
}

type Argument = readonly [kind: number, value: number | bigint];

interface Instruction {
  readonly kind: number;
  readonly arguments: readonly Argument[];
  readonly result?: number;
  number: number;
  readonly fineErrors?: readonly number[];
  readonly anyErrorIsFine?: boolean;
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

class Compiler {
  private readonly instructions: Instruction[] = [];
  private readonly steps: CompiledStep[] = [];
  private readonly registers = new Map<string, number>();
  private readonly setters = new Map<string, Side>();
  private readonly data = new ProgramData();
  private readonly architecture: Architecture;
  private readonly children: { fork: Instruction; operations: readonly Operation[] }[] = [];

  constructor(architecture: Architecture) {
    this.architecture = architecture;
  }

  block(operations: readonly Operation[], side: Side): void {
    for (const operation of operations) this.operation(operation, side);
  }

  finish(): LaunchProgram {
    // The container's side stands after the supervisor's, which never runs off its end.
    for (let child = this.children.shift(); child; child = this.children.shift()) {
      child.fork.number = this.instructions.length;
      this.block(child.operations, "container");
    }
    return { bytes: this.encode(), steps: this.steps, registers: this.registers };
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
            this.use(operation.for),
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
    }
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

  private encode(): Uint8Array {
    const { bytes: data, relocations } = this.data.finish();
    const relocationsAt = HEADER_SIZE + this.instructions.length * OP_SIZE;
    const dataAt = relocationsAt + Math.ceil(relocations.length / 2) * 8;
    const program = new Uint8Array(dataAt + data.length);
    const words = new Uint32Array(program.buffer, 0, dataAt / 4);
    words.set([
      MAGIC,
      this.instructions.length,
      relocations.length,
      this.registers.size,
      data.length,
      0,
    ]);
    let at = HEADER_SIZE / 4;
    for (const instruction of this.instructions) {
      encodeInstruction(words, at, instruction);
      at += OP_SIZE / 4;
    }
    words.set(relocations, at);
    program.set(data, dataAt);
    return program;
  }
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

const MOST_FINE_ERRORS = 4;

/** struct op of native/launch.h as words: plain numbers, since this runs once for each of some hundred operations. */
function encodeInstruction(words: Uint32Array, at: number, instruction: Instruction): void {
  const { kind, number, result = NO_REGISTER, fineErrors = [] } = instruction;
  if (fineErrors.length > MOST_FINE_ERRORS)
    throw new TiffinError("internal", "Cannot compile: more than 4 errors are fine");
  words[at] = kind | (instruction.anyErrorIsFine === true ? 0x100 : 0) | (result << 16);
  words[at + 1] = number;
  let kinds = 0;
  let furtherKinds = 0;
  let value = at + 6;
  let index = 0;
  for (const argument of instruction.arguments) {
    if (index < 4) kinds |= argument[0] << (8 * index);
    else furtherKinds |= argument[0] << (8 * (index - 4));
    const word = argument[1];
    if (typeof word === "number") {
      words[value] = word;
      words[value + 1] = Math.floor(word / 0x1_0000_0000);
    } else {
      words[value] = Number(word & 0xffff_ffffn);
      words[value + 1] = Number((word >> 32n) & 0xffff_ffffn);
    }
    value += 2;
    index++;
  }
  words[at + 2] = kinds;
  words[at + 3] = furtherKinds;
  words[at + 4] = (fineErrors[0] ?? 0) | ((fineErrors[1] ?? 0) << 16);
  words[at + 5] = (fineErrors[2] ?? 0) | ((fineErrors[3] ?? 0) << 16);
}
