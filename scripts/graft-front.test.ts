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

/** The same, behind ld.so, with one dynamic symbol that lies at an address. */
function linked(name: string, address: bigint): Uint8Array {
  const before = executable(0x40_0100n, { address: 0x40_0000n, bytes: new Uint8Array(512) });
  const names = Buffer.from(`\0${name}\0`);
  const file = Buffer.concat([before, new Uint8Array(24 + 3 * 64), names]);
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const symbol = before.length;
  const sections = symbol + 24;
  // Its one segment is PT_INTERP, which is all that this is asked for.
  view.setUint32(64, 3, true);
  view.setUint32(symbol, 1, true);
  view.setBigUint64(symbol + 8, address, true);
  view.setBigUint64(40, BigInt(sections), true);
  view.setUint16(60, 3, true);
  const section = (index: number, type: number, offset: number, size: number): void => {
    view.setUint32(sections + index * 64 + 4, type, true);
    view.setBigUint64(sections + index * 64 + 24, BigInt(offset), true);
    view.setBigUint64(sections + index * 64 + 32, BigInt(size), true);
  };
  section(1, 11, symbol, 24);
  view.setUint32(sections + 64 + 40, 2, true);
  section(2, 3, sections + 3 * 64, names.length);
  return file;
}

const program = executable(0x40_0100n, { address: 0x40_0000n, bytes: new Uint8Array(512).fill(7) });
const front = executable(0x7000_0020n, {
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
    expect(view.getBigUint64(24, true)).toBe(0x7000_0020n);
    expect(grafted.subarray(64, program.length)).toEqual(program.subarray(64));
  });

  test("tells the front where the program starts", () => {
    const start = Number(word(1, 0));
    expect(view.getBigUint64(start + 24, true)).toBe(0x40_0100n);
    expect(grafted.subarray(start, start + 16)).toEqual(new Uint8Array(16).fill(9));
    expect(grafted.subarray(start + 32, start + 64)).toEqual(new Uint8Array(32).fill(9));
  });

  test("tells the front where the program's environ is, if it has any", () => {
    expect(view.getBigUint64(Number(word(1, 0)) + 16, true)).toBe(0n);
    const whole = graftFront(linked("environ", 0x40_0080n), front);
    const start = whole.findIndex((_, at) =>
      whole.subarray(at, at + 16).every((byte) => byte === 9),
    );
    expect(Buffer.from(whole).readBigUInt64LE(start + 16)).toBe(0x40_0080n);
    expect(() => graftFront(linked("environs", 0x40_0080n), front)).toThrow(
      "the program has no environ of its own",
    );
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
