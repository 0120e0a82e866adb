import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import type { Call, Field, Operand, Operation, Register } from "../base/operation.ts";
import { addressOf, cString, syscallError, syscallRaw } from "./syscall.ts";

type Word = number | bigint | null | Uint8Array;

/**
 * Performs the plain calls and branches of a plan in this very process, without a launcher: for plans that need no process of
 * their own, and for tests that hold planners against the kernel.
 *
 * @param registers results by name, read and filled
 * @throws the failed call as an error with the step's reason; internal for an operation that needs a launcher
 */
export function perform(
  operations: readonly Operation[],
  registers: Map<string, number> = new Map(),
): Map<string, number> {
  const run = new Run(registers);
  run.all(operations);
  return registers;
}

class Run {
  private readonly registers: Map<string, number>;
  private readonly scratch = new Map<string, Uint8Array>();

  constructor(registers: Map<string, number>) {
    this.registers = registers;
  }

  all(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if ("call" in operation) this.call(operation);
      else if (operation.control === "branch") {
        const isNegative = this.read(operation.ifNegative) < 0;
        this.all((isNegative ? operation.then : operation.otherwise) ?? []);
      } else {
        throw new TiffinError("internal", `Cannot ${operation.reason} without a launcher`);
      }
    }
  }

  private call(operation: Call): void {
    // What an address points to must outlive the call.
    const keep: Uint8Array[] = [];
    const words = operation.args.map((operand) => this.word(operand, keep));
    const result = syscallRaw(operation.call, ...words);
    if (result < 0 && !isFine(operation, result)) {
      const hint = hintOf(operation, result);
      const error = syscallError(operation.call, result, operation.reason);
      throw new TiffinError(error.code, error.message, {
        ...(error.details && { details: error.details }),
        ...(hint !== undefined && { hint }),
      });
    }
    if (operation.result !== undefined) this.registers.set(operation.result, result);
    keep.length = 0;
  }

  private read({ register }: Register): number {
    const value = this.registers.get(register);
    if (value === undefined) {
      throw new TiffinError("internal", `Register "${register}" is read before it is set`);
    }
    return value;
  }

  private word(operand: Operand, keep: Uint8Array[]): Word {
    if (operand === null || typeof operand === "number" || typeof operand === "bigint") {
      return operand;
    }
    const value = this.reference(operand, keep);
    if (typeof value !== "number") keep.push(value);
    return value;
  }

  private reference(
    operand: Exclude<Operand, number | bigint | null>,
    keep: Uint8Array[],
  ): number | Uint8Array {
    if (typeof operand === "string") return cString(operand);
    if (operand instanceof Uint8Array) return operand;
    if ("register" in operand) return this.read(operand);
    if ("struct" in operand) return this.structure(operand.struct, keep);
    if ("vector" in operand) {
      const fields = [...operand.vector, null].map((text): Field => [8, text]);
      return this.structure(fields, keep);
    }
    const known = this.scratch.get(operand.scratch) ?? new Uint8Array(operand.size);
    this.scratch.set(operand.scratch, known);
    return known;
  }

  private structure(fields: readonly Field[], keep: Uint8Array[]): Uint8Array {
    const bytes = Buffer.alloc(fields.reduce((sum, [width]) => sum + width, 0));
    let at = 0;
    for (const [width, operand] of fields) {
      const word = this.word(operand, keep);
      const value = word instanceof Uint8Array ? addressOf(word) : BigInt(word ?? 0);
      const encoded = Buffer.alloc(8);
      encoded.writeBigUInt64LE(BigInt.asUintN(64, value));
      encoded.copy(bytes, at, 0, width);
      at += width;
    }
    return bytes;
  }
}

function isFine(operation: Call, result: number): boolean {
  if (operation.okErrors === true) return true;
  return operation.okErrors?.some((name) => ERRNO[name] === -result) ?? false;
}

function hintOf(operation: Call, result: number): string | undefined {
  const name = Object.entries(ERRNO).find(([, number]) => number === -result)?.[0];
  const hints: Partial<Record<string, string>> = operation.hints ?? {};
  return hints[name ?? ""] ?? hints["default"];
}
