import { describe, expect, test } from "bun:test";
import { graftFront } from "./graft-front.ts";

interface Load {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

/** An executable of one segment, as elf(5) has it: a header, a table of one, the segment's bytes. */
function executable(entry: bigint, { address, bytes }: Load, type: number = 2): Uint8Array {
  const file = new Uint8Array(120 + bytes.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, type, true);
  view.setBigUint64(24, entry, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  view.setUint32(64, 1, true);
  view.setUint32(68, 5, true);
  const words = [120n, address, address, BigInt(bytes.length), BigInt(bytes.length), 4096n];
  words.forEach((word, index) => view.setBigUint64(72 + index * 8, word, true));
  file.set(bytes, 120);
  return file;
}

const program = executable(0x40_0100n, { address: 0x40_0000n, bytes: new Uint8Array(512).fill(7) });
const front = executable(0x7000_0010n, {
  address: 0x7000_0000n,
  bytes: new Uint8Array(64).fill(9),
});

describe("graftFront()", () => {
  const grafted = graftFront(program, front);
  const view = new DataView(grafted.buffer, grafted.byteOffset, grafted.byteLength);
  const table = Number(view.getBigUint64(32, true));
  const word = (segment: number, index: number): bigint =>
    view.getBigUint64(table + segment * 56 + 8 + index * 8, true);

  test("starts at the front and leaves the program's bytes where they were", () => {
    expect(view.getBigUint64(24, true)).toBe(0x7000_0010n);
    expect(grafted.subarray(64, program.length)).toEqual(program.subarray(64));
  });

  test("tells the front where the program starts", () => {
    const start = Number(word(1, 0));
    expect(view.getBigUint64(start + 8, true)).toBe(0x40_0100n);
    expect(grafted.subarray(start + 16, start + 64)).toEqual(new Uint8Array(48).fill(9));
  });

  test("loads the program, the front and the new table, each where mmap can put it", () => {
    expect(view.getUint16(56, true)).toBe(3);
    expect([word(0, 1), word(1, 1), word(2, 1)]).toEqual([0x40_0000n, 0x7000_0000n, 0x7001_0000n]);
    expect(word(2, 0)).toBe(BigInt(table));
    for (const segment of [1, 2]) {
      expect(word(segment, 0) % 0x1_0000n).toBe(word(segment, 1) % 0x1_0000n);
    }
  });

  test("refuses a front in the program's way", () => {
    const low = executable(0x40_0010n, { address: 0x40_0000n, bytes: new Uint8Array(64) });
    expect(() => graftFront(program, low)).toThrow("the front has to lie above 0x400200");
  });

  test("refuses what is no executable of fixed addresses", () => {
    const shared = executable(0x10n, { address: 0n, bytes: new Uint8Array(64) }, 3);
    expect(() => graftFront(shared, front)).toThrow("the program is not an ELF executable");
    expect(() => graftFront(program, new Uint8Array(8))).toThrow("the front is not");
  });
});
