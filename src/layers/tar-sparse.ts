import { badArchive, BLOCK_BYTES, parseNumber } from "./tar-header.ts";

/** A run of stored bytes of a sparse file; what lies between runs is zeros. */
export interface SparseRun {
  readonly offset: number;
  readonly length: number;
}

/** More runs than any real file has; each costs memory before its data is seen. */
const MAXIMUM_RUNS = 1_000_000;

/** Offsets and lengths in turn, checked: ascending, not overlapping, inside the file, together as long as what is stored. */
export function sparseRuns(
  numbers: readonly number[],
  file: { readonly realSize: number; readonly storedSize: number; readonly position: number },
): SparseRun[] {
  const runs: SparseRun[] = [];
  let end = 0;
  let stored = 0;
  if (numbers.length % 2 !== 0 || numbers.length > 2 * MAXIMUM_RUNS) {
    throw badArchive(file.position, `a sparse map has ${numbers.length} numbers`);
  }
  for (let index = 0; index < numbers.length; index += 2) {
    const offset = numbers[index] ?? 0;
    const length = numbers[index + 1] ?? 0;
    if (offset < end || length < 0 || offset + length > file.realSize) {
      throw badArchive(file.position, "a sparse map does not fit its file");
    }
    end = offset + length;
    stored += length;
    if (length > 0) runs.push({ offset, length });
  }
  if (stored !== file.storedSize) {
    throw badArchive(
      file.position,
      `a sparse map speaks of ${stored} bytes, and ${file.storedSize} are stored`,
    );
  }
  return runs;
}

/** The sparse numbers in an old GNU header ('S'): four pairs, perhaps more in blocks that follow. */
export function oldSparseHeader(
  block: Uint8Array,
  position: number,
): { numbers: number[]; realSize: number; extended: boolean } {
  const realSize = parseNumber(block.subarray(483, 495), "real size", position);
  return { numbers: pairs(block, 386, 4, position), realSize, extended: block[482] !== 0 };
}

/** One block that continues an old GNU sparse header: 21 pairs. */
export function oldSparseExtension(
  block: Uint8Array,
  position: number,
): { numbers: number[]; extended: boolean } {
  return { numbers: pairs(block, 0, 21, position), extended: block[504] !== 0 };
}

function pairs(block: Uint8Array, start: number, count: number, position: number): number[] {
  const numbers: number[] = [];
  for (let index = 0; index < count; index++) {
    const at = start + index * 24;
    // A pair that is not used starts with a NUL; no more follow.
    if (block[at] === 0) break;
    numbers.push(
      parseNumber(block.subarray(at, at + 12), "sparse offset", position),
      parseNumber(block.subarray(at + 12, at + 24), "sparse length", position),
    );
  }
  return numbers;
}

/**
 * Reads the map that PAX form 1.0 puts in front of the data: decimal lines, the number of runs first, filled up to a block.
 * `push` takes one block; it answers the numbers when the map is complete.
 */
export class SparseMapReader {
  private text = "";
  private readonly numbers: number[] = [];
  private readonly position: number;

  constructor(position: number) {
    this.position = position;
  }

  push(block: Uint8Array): number[] | null {
    this.text += Buffer.from(block).toString("latin1");
    for (;;) {
      const newline = this.text.indexOf("\n");
      if (newline < 0 && this.text.length < BLOCK_BYTES) return null;
      const line = this.text.slice(0, Math.max(newline, 0));
      if (!/^[0-9]{1,16}$/.test(line)) throw badArchive(this.position, "a sparse map is malformed");
      this.numbers.push(Number(line));
      this.text = this.text.slice(newline + 1);
      const runs = this.numbers[0] ?? 0;
      if (runs > MAXIMUM_RUNS) throw badArchive(this.position, `a sparse map has ${runs} runs`);
      if (this.numbers.length === 1 + 2 * runs) return this.numbers.slice(1);
    }
  }
}
