import { TiffinError } from "../base/error.ts";

/** The sizes and marks of native/launch.h. */
export const HEADER_SIZE = 24;
export const OP_SIZE = 72;
const MAGIC = 0x314e4654;
const NO_REGISTER = 0xffff;

export type Argument = readonly [kind: number, value: number | bigint];

/** One operation as native/launch.h knows it. */
export interface Instruction {
  readonly kind: number;
  readonly arguments: readonly Argument[];
  readonly result?: number;
  number: number;
  readonly fineErrors?: readonly number[];
  readonly anyErrorIsFine?: boolean;
}

/** What is kept free in a program whose rest comes later. */
export interface Room {
  readonly operations: number;
  readonly registers: number;
  /** Bytes. */
  readonly data: number;
}

export interface ProgramParts {
  readonly instructions: readonly Instruction[];
  readonly registers: number;
  readonly relocations: readonly number[];
  readonly data: Uint8Array;
}

/** Where the data of a program begins. */
export function dataOffset(operations: number, relocations: number): number {
  return HEADER_SIZE + operations * OP_SIZE + Math.ceil(relocations / 2) * 8;
}

/** Operations of fixed size, then relocations, then data; with as much behind each as `room` wants in all. */
export function encodeProgram(parts: ProgramParts, room?: Room): Uint8Array {
  const { instructions, relocations, data } = parts;
  const operations = room?.operations ?? instructions.length;
  const dataSize = room?.data ?? data.length;
  const dataAt = dataOffset(operations, relocations.length);
  const program = new Uint8Array(dataAt + dataSize);
  const words = new Uint32Array(program.buffer, 0, dataAt / 4);
  words.set([
    MAGIC,
    operations,
    relocations.length,
    room?.registers ?? parts.registers,
    dataSize,
    0,
  ]);
  encodeInstructions(words, HEADER_SIZE / 4, instructions);
  words.set(relocations, (HEADER_SIZE + operations * OP_SIZE) / 4);
  program.set(data, dataAt);
  return program;
}

export function encodeInstructions(
  words: Uint32Array,
  at: number,
  instructions: readonly Instruction[],
): void {
  instructions.forEach((instruction, index) => {
    encodeInstruction(words, at + (index * OP_SIZE) / 4, instruction);
  });
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
