import { TiffinError } from "../base/error.ts";
import { decodeFileName } from "../kernel/file-name.ts";

export const BLOCK_BYTES = 512;

/** The fields of one 512-byte header, before PAX and GNU extensions are applied. */
export interface TarHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeSeconds: number;
  /** One character; "\0" is the old form of a regular file. */
  readonly type: string;
  readonly linkName: string;
  readonly userName: string;
  readonly groupName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** An error of an archive's content; `position` is the byte offset of the header (uncompressed). */
export function badArchive(position: number, problem: string, hint?: string): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `Cannot read archive: ${problem} (at byte ${position})`,
    { ...(hint === undefined ? {} : { hint }), details: { position } },
  );
}

/** Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format". */
export function parseHeader(block: Uint8Array, position: number): TarHeader {
  verifyChecksum(block, position);
  const field = (at: number, length: number): Uint8Array => block.subarray(at, at + length);
  const number = (at: number, length: number, name: string): number =>
    parseNumber(field(at, length), name, position);
  const magic = Buffer.from(field(257, 8)).toString("latin1");
  const isUstar = magic.startsWith("ustar\0");
  const hasOwners = magic.startsWith("ustar");
  // star keeps its own times behind a shorter prefix.
  const isStar = isUstar && Buffer.from(field(508, 4)).toString("latin1") === "tar\0";
  const prefix = isUstar ? text(field(345, isStar ? 131 : 155)) : "";
  const name = text(field(0, 100));
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    mode: number(100, 8, "mode") & 0o7777,
    uid: number(108, 8, "uid"),
    gid: number(116, 8, "gid"),
    size: number(124, 12, "size"),
    mtimeSeconds: number(136, 12, "mtime"),
    type: String.fromCharCode(block[156] ?? 0),
    linkName: text(field(157, 100)),
    userName: hasOwners ? text(field(265, 32)) : "",
    groupName: hasOwners ? text(field(297, 32)) : "",
    deviceMajor: hasOwners ? number(329, 8, "device major number") : 0,
    deviceMinor: hasOwners ? number(337, 8, "device minor number") : 0,
  };
}

export function isZeroBlock(block: Uint8Array): boolean {
  return block.every((byte) => byte === 0);
}

/** Bytes up to the first NUL as a name. */
export function text(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return decodeFileName(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * An octal number, or GNU's base-256: the first bit set, then a big-endian two's complement number.
 * @throws invalid-argument when it is neither, or too large to be exact
 */
export function parseNumber(bytes: Uint8Array, name: string, position: number): number {
  const first = bytes[0] ?? 0;
  if (first === 0x80 || first === 0xff) {
    const negative = first === 0xff;
    let value = negative ? -1n : 0n;
    for (const byte of bytes.subarray(1)) value = value * 256n + BigInt(byte);
    if (value > Number.MAX_SAFE_INTEGER || value < Number.MIN_SAFE_INTEGER) {
      throw badArchive(position, `the ${name} ${value} is too large`);
    }
    return Number(value);
  }
  const plain = octalDigits(bytes);
  if (plain >= 0) return plain;
  const digits = Buffer.from(bytes).toString("latin1").replace(/\0.*$/s, "").trim();
  if (digits === "") return 0;
  if (!/^[0-7]+$/.test(digits)) {
    throw badArchive(position, `the ${name} ${JSON.stringify(digits)} is not a number`);
  }
  return Number.parseInt(digits, 8);
}

/** The usual form, digits up to a NUL, a space or the end, without a string on the way; -1 for all others. */
function octalDigits(bytes: Uint8Array): number {
  let value = 0;
  let at = 0;
  for (; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0) break;
    if (byte < 0x30 || byte > 0x37) return -1;
    value = value * 8 + byte - 0x30;
  }
  return at === 0 ? -1 : value;
}

/** The sum of all bytes, the sum's own field counted as spaces; old programs summed signed bytes. */
function verifyChecksum(block: Uint8Array, position: number): void {
  const stored = parseNumber(block.subarray(148, 156), "checksum", position);
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte > 127 ? byte - 256 : byte;
  }
  if (stored !== unsigned && stored !== signed) {
    throw badArchive(
      position,
      `a header's checksum is ${unsigned} and should be ${stored}`,
      "The archive is damaged, or not a tar archive: get it again",
    );
  }
}
