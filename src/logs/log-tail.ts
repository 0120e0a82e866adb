import type { OpenLog } from "./log-files.ts";
import { isPart, isRecord, isStderr, LONGEST_RECORD_BYTES, NEWLINE } from "./log-record.ts";

/** How many of the last lines were found so far, over several files from the newest to the oldest. */
export class TailCount {
  readonly wanted: number;
  readonly stdout: boolean;
  readonly stderr: boolean;
  found = 0;
  /** Streams of which a later record was seen: a part at the very end of a stream is a line of its own. */
  readonly seen: { stdout: boolean; stderr: boolean } = { stdout: false, stderr: false };

  constructor(wanted: number, streams: { readonly stdout: boolean; readonly stderr: boolean }) {
    this.wanted = wanted;
    this.stdout = streams.stdout;
    this.stderr = streams.stderr;
  }

  get isComplete(): boolean {
    return this.found >= this.wanted;
  }

  /**
   * Takes the next record towards the start; false when it belongs to a line too many. A line of several records is
   * counted at its last one.
   */
  take(block: Uint8Array, at: number): boolean {
    const stream = isStderr(block, at) ? "stderr" : "stdout";
    if (!this[stream]) return true;
    const endsLine = !isPart(block, at) || !this.seen[stream];
    if (endsLine) {
      if (this.isComplete) return false;
      this.found++;
      this.seen[stream] = true;
    }
    return true;
  }
}

const FIRST_BLOCK_BYTES = 65_536;

/** Offset in the file where the last lines begin; undefined when none of them is in it. Reads blocks from the end. */
export async function tailInPlain(file: OpenLog, count: TailCount): Promise<number | undefined> {
  let begin: number | undefined;
  let blockBytes = FIRST_BLOCK_BYTES;
  for (let end = file.size; end > 0; ) {
    const start = Math.max(0, end - blockBytes);
    const block = Buffer.allocUnsafe(end - start);
    const { bytesRead } = await file.handle.read(block, 0, block.length, start);
    const bytes = block.subarray(0, bytesRead);
    let recordEnd = bytes.lastIndexOf(NEWLINE);
    while (recordEnd > 0) {
      const recordStart = bytes.lastIndexOf(NEWLINE, recordEnd - 1) + 1;
      // Without a newline before it, it may begin in the block before.
      if (recordStart === 0 && start > 0) break;
      if (isRecord(bytes, recordStart, recordEnd)) {
        if (!count.take(bytes, recordStart)) return begin;
        begin = start + recordStart;
      }
      recordEnd = recordStart - 1;
    }
    if (start === 0) break;
    if (recordEnd >= 0 && recordEnd + 1 < bytes.length) {
      end = start + recordEnd + 1;
      blockBytes = FIRST_BLOCK_BYTES;
    } else if (blockBytes > 4 * LONGEST_RECORD_BYTES) {
      // No record is so long: these bytes are none.
      end = start;
    } else {
      blockBytes *= 2;
    }
  }
  return begin;
}

/** Offset behind the last whole record. */
export async function endOfRecords(file: OpenLog): Promise<number> {
  if (file.compressed) return Number.POSITIVE_INFINITY;
  const start = Math.max(0, file.size - 2 * LONGEST_RECORD_BYTES);
  const block = Buffer.allocUnsafe(file.size - start);
  const { bytesRead } = await file.handle.read(block, 0, block.length, start);
  return start + block.subarray(0, bytesRead).lastIndexOf(NEWLINE) + 1;
}

/** As {@link tailInPlain}, for a compressed file, which can only be read forwards: one pass that keeps where lines begin. */
export async function tailInCompressed(
  file: OpenLog,
  count: TailCount,
): Promise<number | undefined> {
  const lines = new LineStarts(count);
  const block = Buffer.allocUnsafe(FIRST_BLOCK_BYTES * 4);
  let held = 0;
  let offset = 0;
  await file.source.seek(0);
  for (;;) {
    const got = await file.source.read(block.subarray(held));
    if (got === 0) break;
    const bytes = block.subarray(0, held + got);
    let at = 0;
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, at)) {
      if (isRecord(bytes, at, end)) lines.add(bytes, at, offset);
      at = end + 1;
    }
    // A block without any newline holds no record: the longest is shorter.
    if (at === 0 && bytes.length === block.length) at = bytes.length;
    offset += at;
    held = bytes.length - at;
    block.copyWithin(0, at, at + held);
  }
  return lines.finish();
}

/** Offsets at which the lines of the wanted streams begin, the last ones of them. */
class LineStarts {
  readonly #count: TailCount;
  #starts: number[] = [];
  readonly #open = { stdout: -1, stderr: -1 };
  readonly #has = { stdout: false, stderr: false };

  constructor(count: TailCount) {
    this.#count = count;
  }

  add(block: Uint8Array, at: number, blockOffset: number): void {
    const stream = isStderr(block, at) ? "stderr" : "stdout";
    if (!this.#count[stream]) return;
    this.#has[stream] = true;
    if (this.#open[stream] === -1) this.#open[stream] = blockOffset + at;
    if (isPart(block, at)) return;
    this.#starts.push(this.#open[stream]);
    this.#open[stream] = -1;
    const wanted = this.#count.wanted;
    if (this.#starts.length > 2 * wanted + 4096) this.#starts = this.#starts.slice(-wanted);
  }

  /** Adds to the count and gives the offset of the first line that it still wanted. */
  finish(): number | undefined {
    for (const stream of ["stdout", "stderr"] as const) {
      const open = this.#open[stream];
      // A part at the end goes on in the newer file, where its line was counted, or it is the stream's last.
      if (open !== -1) this.#starts.push(open);
      if (open !== -1 && this.#count.seen[stream]) this.#count.found--;
      if (this.#has[stream]) this.#count.seen[stream] = true;
    }
    const missing = this.#count.wanted - this.#count.found;
    const starts = missing > 0 ? this.#starts.slice(-missing) : [];
    this.#count.found += starts.length;
    return starts.length === 0 ? undefined : Math.min(...starts);
  }
}
