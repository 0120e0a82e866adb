import { TiffinError } from "../base/error.ts";
import type { Field, Operand, Register } from "../base/operation.ts";

/** A register's value that must be copied into a structure before the step that uses it. */
interface Store {
  readonly offset: number;
  readonly width: number;
  readonly register: Register;
}

/**
 * The data of a launch program: texts, structures, vectors and scratch areas, and the places that hold pointers, which
 * the launcher relocates. Equal texts are stored once.
 */
export class ProgramData {
  private readonly chunks: { offset: number; bytes: Uint8Array }[] = [];
  private readonly relocations: number[] = [];
  private readonly scratch = new Map<string, { offset: number; size: number }>();
  private readonly texts = new Map<string, number>();
  private size = 0;

  /** Zeroed memory; returns its offset. */
  private reserve(size: number, alignment: number): number {
    this.size = Math.ceil(this.size / alignment) * alignment;
    const offset = this.size;
    this.size += size;
    return offset;
  }

  place(operand: Operand): { offset: number; stores: Store[] } {
    const stores: Store[] = [];
    return { offset: this.put(operand, stores), stores };
  }

  finish(): { bytes: Uint8Array; relocations: readonly number[] } {
    const bytes = new Uint8Array(Math.ceil(this.size / 8) * 8);
    for (const chunk of this.chunks) bytes.set(chunk.bytes, chunk.offset);
    return { bytes, relocations: this.relocations };
  }

  private put(operand: Operand, stores: Store[]): number {
    if (typeof operand === "string") return this.text(operand);
    if (operand instanceof Uint8Array) return this.bytes(operand, 8);
    if (operand !== null && typeof operand === "object") {
      if ("struct" in operand) return this.struct(operand.struct, stores);
      if ("vector" in operand) {
        return this.struct([...operand.vector.map((text): Field => [8, text]), [8, 0]], stores);
      }
      if ("scratch" in operand) return this.area(operand.scratch, operand.size);
    }
    throw new TiffinError("internal", "Cannot compile: a number has no address");
  }

  private bytes(bytes: Uint8Array, alignment: number): number {
    const offset = this.reserve(bytes.length, alignment);
    this.chunks.push({ offset, bytes });
    return offset;
  }

  private text(text: string): number {
    const known = this.texts.get(text);
    if (known !== undefined) return known;
    if (text.includes("\0")) {
      throw new TiffinError(
        "invalid-argument",
        `Cannot use ${JSON.stringify(text)}: it holds a NUL byte`,
      );
    }
    const offset = this.bytes(Buffer.from(`${text}\0`), 1);
    this.texts.set(text, offset);
    return offset;
  }

  private area(name: string, size: number): number {
    const known = this.scratch.get(name);
    if (known && known.size >= size) return known.offset;
    if (known)
      throw new TiffinError("internal", `Cannot compile: scratch area "${name}" has two sizes`);
    const offset = this.reserve(size, 8);
    this.scratch.set(name, { offset, size });
    return offset;
  }

  private struct(fields: readonly Field[], stores: Store[]): number {
    const bytes = Buffer.alloc(fields.reduce((sum, [width]) => sum + width, 0));
    const offset = this.bytes(bytes, 8);
    let at = 0;
    for (const [width, value] of fields) {
      if (value !== null && typeof value === "object" && "register" in value) {
        stores.push({ offset: offset + at, width, register: value });
      } else if (typeof value === "number" || typeof value === "bigint" || value === null) {
        writeInteger(bytes, at, width, BigInt(value ?? 0));
      } else {
        bytes.writeBigUInt64LE(BigInt(this.put(value, stores)), at);
        this.relocations.push(offset + at);
      }
      at += width;
    }
    return offset;
  }
}

function writeInteger(bytes: Buffer, at: number, width: number, value: bigint): void {
  let rest = BigInt.asUintN(width * 8, value);
  for (let index = 0; index < width; index++) {
    bytes[at + index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}
