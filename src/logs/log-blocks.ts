import { isRotated, openAfter, type OpenLog } from "./log-files.ts";
import { isRecord, LONGEST_RECORD_BYTES, NEWLINE, stampAt, stampOf } from "./log-record.ts";
import type { LogControl, LogRequest } from "./log-request.ts";
import { findStart, type LogStart } from "./log-start.ts";
import { LogWatch } from "./log-watch.ts";

/** Bytes that are read at a time. */
export const BLOCK_BYTES: number = 512 * 1024;

/**
 * The records that were asked for, of both streams, as blocks that end with a record's newline. A block's memory is used
 * again for the next one. Between the records may stand what a killed supervisor left: see isRecord.
 *
 * Follows the log over rotations without losing or repeating a record: a file that lost its name is read to its end first.
 */
export async function* logBlocks(
  directory: string,
  request: LogRequest,
  control: LogControl = {},
): AsyncGenerator<Buffer, void> {
  // The watch comes before the first look, so that nothing falls between them.
  const watch = new LogWatch(directory, request, control);
  const reader = new BlockReader(directory);
  const period = new Period(request);
  try {
    const start = await firstStart(directory, request, watch);
    if (start === undefined) return;
    await reader.begin(start, request.follow ? undefined : start.end);
    while (!watch.isAborted) {
      const isLast = watch.isOver;
      const block = await reader.next();
      if (block !== undefined) {
        const wanted = period.cut(block);
        if (wanted.length > 0) yield wanted;
        if (period.isOver) return;
      } else if (isLast) {
        return;
      } else {
        await watch.changed();
      }
    }
  } finally {
    watch.close();
    await reader.close();
  }
}

/** Waits for a log that is followed to come into being. */
async function firstStart(
  directory: string,
  request: LogRequest,
  watch: LogWatch,
): Promise<LogStart | undefined> {
  let start = await findStart(directory, request);
  while (start === undefined && !watch.isOver) {
    await watch.changed();
    // What is written from now on is new, whatever tail says.
    start = await findStart(directory, { ...request, tail: null });
  }
  return start;
}

/** Reads whole records from one file after the other. */
class BlockReader {
  readonly #directory: string;
  readonly #buffer: Buffer = Buffer.allocUnsafe(BLOCK_BYTES);
  #file: OpenLog | undefined;
  #end: LogStart["end"] | undefined;
  /** Bytes at the buffer's start of a record whose rest is not read yet. */
  #held = 0;
  /** Bytes of the last block, which stand before the held ones. */
  #used = 0;
  #offset = 0;
  /** Nothing is added to the file any more. */
  #isComplete = false;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async begin(start: LogStart, end: LogStart["end"] | undefined): Promise<void> {
    this.#file = start.file;
    this.#end = end;
    this.#offset = start.offset;
    await start.file.source.seek(start.offset);
  }

  /** The next block; undefined: nothing more is there now. */
  async next(): Promise<Buffer | undefined> {
    this.#buffer.copyWithin(0, this.#used, this.#used + this.#held);
    this.#used = 0;
    while (this.#file !== undefined) {
      const room = this.#buffer.subarray(this.#held, this.#held + this.#allowed(this.#file));
      const count = room.length === 0 ? 0 : await this.#file.source.read(room);
      this.#offset += count;
      this.#held += count;
      if (count > 0) {
        this.#used = this.#buffer.lastIndexOf(NEWLINE, this.#held - 1) + 1;
        this.#held -= this.#used;
        if (this.#used > 0) return this.#buffer.subarray(0, this.#used);
        // No record is so long: these bytes are none.
        if (this.#held > 2 * LONGEST_RECORD_BYTES) this.#held = 0;
      } else if (!(await this.#moveOn(this.#file))) {
        return undefined;
      }
    }
    return undefined;
  }

  /** At the end of a file: true when there may be more in it or in the next one, which is then open. */
  async #moveOn(file: OpenLog): Promise<boolean> {
    if (this.#end !== undefined && file.number >= this.#end.number) return false;
    if (!this.#isComplete) {
      this.#isComplete = await isRotated(this.#directory, file);
      // Once more: something may have been written between the last read and the rotation.
      return this.#isComplete;
    }
    const next = await openAfter(this.#directory, file);
    if (next === undefined) return false;
    await file.handle.close();
    this.#file = next;
    this.#isComplete = false;
    this.#offset = 0;
    // What was torn stays torn.
    this.#held = 0;
    return true;
  }

  /** Bytes that may be read: none beyond the end that the log had at first. */
  #allowed(file: OpenLog): number {
    if (file.number !== this.#end?.number) return BLOCK_BYTES;
    return Math.min(BLOCK_BYTES, Math.max(0, this.#end.offset - this.#offset));
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }
}

/** Cuts blocks to a period of time. */
class Period {
  readonly #since: string;
  readonly #until: string;
  #hasBegun: boolean;
  /** Everything further is later than wanted. */
  isOver = false;

  constructor(request: LogRequest) {
    this.#since = stampOf(request.sinceNano);
    this.#until = request.untilNano > 0n ? stampOf(request.untilNano) : "";
    this.#hasBegun = request.sinceNano <= 0n;
  }

  cut(block: Buffer): Buffer {
    let wanted = block;
    if (!this.#hasBegun) {
      const begin = firstWith(block, (stamp) => stamp >= this.#since);
      if (begin === -1) return block.subarray(0, 0);
      this.#hasBegun = true;
      wanted = block.subarray(begin);
    }
    if (this.#until === "" || lastStamp(wanted) <= this.#until) return wanted;
    const end = firstWith(wanted, (stamp) => stamp > this.#until);
    if (end === -1) return wanted;
    this.isOver = true;
    return wanted.subarray(0, end);
  }
}

function firstWith(block: Buffer, matches: (stamp: string) => boolean): number {
  for (let at = 0; at < block.length; ) {
    const end = block.indexOf(NEWLINE, at);
    if (isRecord(block, at, end) && matches(stampAt(block, at))) return at;
    at = end + 1;
  }
  return -1;
}

/** Of the last record; later than every time when it is torn, so that a closer look is taken. */
function lastStamp(block: Buffer): string {
  const end = block.length - 1;
  const at = end > 0 ? block.lastIndexOf(NEWLINE, end - 1) + 1 : 0;
  return isRecord(block, at, end) ? stampAt(block, at) : "~";
}
