import { TiffinError } from "../base/error.ts";
import type { Field, Operand, Register } from "../base/operation.ts";

/** A register's value that must be copied into a structure before the step that uses it. */
interface Store {
  readonly offset: number;
  readonly width: number;
  readonly register: Register;
}

const INITIAL_BYTES = 32 * 1024;

/**
 * The data of a launch program: texts, structures, vectors and scratch areas, and the places that hold pointers, which
 * the launcher relocates. Equal texts are stored once.
 */
export class ProgramData {
  /** Grows by doubling: a plan has hundreds of small pieces. */
  private memory: Buffer = Buffer.alloc(INITIAL_BYTES);
  private readonly relocations: number[] = [];
  private readonly scratch = new Map<string, { offset: number; size: number }>();
  private readonly texts = new Map<string, number>();
  private size = 0;

  /** Zeroed memory; returns its offset. */
  private reserve(size: number, alignment: number): number {
    this.size = Math.ceil(this.size / alignment) * alignment;
    const offset = this.size;
    this.size += size;
    if (this.size > this.memory.length) {
      const larger = Buffer.alloc(Math.max(this.size, this.memory.length * 2));
      this.memory.copy(larger);
      this.memory = larger;
    }
    return offset;
  }

  place(operand: Operand): { offset: number; stores: Store[] } {
    const stores: Store[] = [];
    return { offset: this.put(operand, stores), stores };
  }

  finish(): { bytes: Uint8Array; relocations: readonly number[] } {
    this.reserve(0, 8);
    return { bytes: this.memory.subarray(0, this.size), relocations: this.relocations };
  }

  /** Those after the first `count`: where the pointer stands, and the offset that it points to. */
  relocationsFrom(count: number): { at: number; target: number }[] {
    return this.relocations
      .slice(count)
      .map((at) => ({ at, target: this.memory.readUInt32LE(at) }));
  }

  private put(operand: Operand, stores: Store[]): number {
    if (typeof operand === "string") return this.text(operand);
    if (operand instanceof Uint8Array) return this.bytes(operand);
    if (operand !== null && typeof operand === "object") {
      if ("struct" in operand) return this.struct(operand.struct, stores);
      if ("vector" in operand) {
        return this.struct([...operand.vector.map((text): Field => [8, text]), [8, 0]], stores);
      }
      if ("scratch" in operand) return this.area(operand.scratch, operand.size);
    }
    throw new TiffinError("internal", "Cannot compile: a number has no address");
  }

  private bytes(bytes: Uint8Array): number {
    const offset = this.reserve(bytes.length, 8);
    this.memory.set(bytes, offset);
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
    const offset = this.reserve(Buffer.byteLength(text) + 1, 1);
    this.memory.write(text, offset);
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
    const size = fields.reduce((sum, [width]) => sum + width, 0);
    const offset = this.reserve(size, 8);
    let at = offset;
    for (const [width, value] of fields) {
      if (value !== null && typeof value === "object" && "register" in value) {
        stores.push({ offset: at, width, register: value });
      } else if (typeof value === "number" || typeof value === "bigint" || value === null) {
        this.integer(at, width, value ?? 0);
      } else {
        const target = this.put(value, stores);
        this.memory.writeUInt32LE(target, at);
        this.relocations.push(at);
      }
      at += width;
    }
    return offset;
  }

  private integer(at: number, width: number, value: number | bigint): void {
    if (typeof value === "bigint") {
      this.integer(at, Math.min(width, 4), Number(BigInt.asUintN(32, value)));
      if (width === 8) this.integer(at + 4, 4, Number(BigInt.asUintN(32, value >> 32n)));
      return;
    }
    // Bit operations take the lower 32 bits, of negative numbers too.
    if (width === 8) {
      this.memory.writeUInt32LE(value >>> 0, at);
      this.memory.writeUInt32LE(Math.floor(value / 0x1_0000_0000) >>> 0, at + 4);
    } else if (width === 4) this.memory.writeUInt32LE(value >>> 0, at);
    else if (width === 2) this.memory.writeUInt16LE(value & 0xffff, at);
    else this.memory.writeUInt8(value & 0xff, at);
  }
}
