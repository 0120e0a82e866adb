/**
 * One record of a container's log, as native/supervise.c writes it (the CRI log format, kubernetes' kubelet/cri-api):
 *
 *     2026-11-24T06:12:16.123456789Z stdout F text\n
 *
 * The supervisor always writes nine digits and `Z`, so everything before the text has a fixed width and is found without
 * parsing. Tag `F` ends a line, `P` is a part of one: the next record of its stream goes on with it.
 */

/** Bytes before the text. */
export const PREFIX_BYTES = 40;
/** Bytes of the timestamp. */
export const STAMP_BYTES = 30;
/** Longest record that a supervisor writes: a full buffer as one part. */
export const LONGEST_RECORD_BYTES: number = PREFIX_BYTES + 32_768 + 1;
export const NEWLINE = 10;

export type LogStream = "stdout" | "stderr";

const SPACE = 32;
const LETTER_E = 0x65;
const LETTER_P = 0x50;
const LETTER_Z = 0x5a;
const STREAM_OFFSET = 34;
const TAG_OFFSET = 38;

/**
 * True when a record starts at `at` and ends with the newline at `end`. False for what a killed supervisor or a full disk
 * left of one.
 */
export function isRecord(block: Uint8Array, at: number, end: number): boolean {
  return (
    end - at >= PREFIX_BYTES &&
    block[at + STAMP_BYTES] === SPACE &&
    block[at + STAMP_BYTES - 1] === LETTER_Z &&
    block[at + TAG_OFFSET - 1] === SPACE &&
    block[at + TAG_OFFSET + 1] === SPACE
  );
}

export function isStderr(block: Uint8Array, at: number): boolean {
  return block[at + STREAM_OFFSET] === LETTER_E;
}

export function isPart(block: Uint8Array, at: number): boolean {
  return block[at + TAG_OFFSET] === LETTER_P;
}

export function stampAt(block: Buffer, at: number): string {
  return block.toString("latin1", at, at + STAMP_BYTES);
}

/** Nanoseconds since the epoch as a record's timestamp; text order is time order. */
export function stampOf(nanoseconds: bigint): string {
  const seconds = nanoseconds / 1_000_000_000n;
  const date = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return `${date}.${(nanoseconds % 1_000_000_000n).toString().padStart(9, "0")}Z`;
}
