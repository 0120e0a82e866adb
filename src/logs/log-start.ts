import { type LogSnapshot, logSnapshot, type OpenLog, openRotated } from "./log-files.ts";
import { isRecord, LONGEST_RECORD_BYTES, NEWLINE, stampAt, stampOf } from "./log-record.ts";
import type { LogRequest } from "./log-request.ts";
import { endOfRecords, TailCount, tailInCompressed, tailInPlain } from "./log-tail.ts";

/** Where to begin to read. The reader closes the file. */
export interface LogStart {
  readonly file: OpenLog;
  readonly offset: number;
  /** The end of the log at this moment: a reader that does not follow goes no further. */
  readonly end: { readonly number: number; readonly offset: number };
}

interface Place {
  readonly file: OpenLog;
  readonly offset: number;
}

/** Finds the place without reading what lies before it. Undefined: there is no log yet. */
export async function findStart(
  directory: string,
  request: LogRequest,
): Promise<LogStart | undefined> {
  const files = new FilesFromNewest(directory, await logSnapshot(directory));
  let found: Place | undefined;
  try {
    const newest = await files.at(0);
    if (newest === undefined) return undefined;
    const places: Place[] = [];
    if (request.sinceNano > 0n) places.push(await findSince(files, newest, request.sinceNano));
    if (request.tail !== null) places.push(await findTail(files, newest, request));
    if (places.length === 0) places.push({ file: await files.oldest(newest), offset: 0 });
    found = places.reduce(later);
    const end = newest.compressed ? Number.POSITIVE_INFINITY : newest.size;
    return { ...found, end: { number: newest.number, offset: end } };
  } finally {
    await files.close(found?.file);
  }
}

function later(one: Place, other: Place): Place {
  if (one.file === other.file) return one.offset > other.offset ? one : other;
  return one.file.number > other.file.number ? one : other;
}

async function findTail(
  files: FilesFromNewest,
  newest: OpenLog,
  request: LogRequest,
): Promise<Place> {
  const count = new TailCount(request.tail ?? 0, request);
  let place: Place = { file: newest, offset: await endOfRecords(newest) };
  for (let index = 0; ; index++) {
    const file = await files.at(index);
    if (file === undefined) return place;
    const find = file.compressed ? tailInCompressed : tailInPlain;
    const offset = await find(file, count);
    if (offset !== undefined) place = { file, offset };
    if (count.isComplete) return place;
  }
}

/**
 * The newest file that begins no later than the time, and a place in it a little before the first record of that time
 * (the reader skips what is earlier).
 */
async function findSince(
  files: FilesFromNewest,
  newest: OpenLog,
  sinceNano: bigint,
): Promise<Place> {
  const since = stampOf(sinceNano);
  let oldest = newest;
  for (let index = 0; ; index++) {
    const file = await files.at(index);
    if (file === undefined) return { file: oldest, offset: 0 };
    oldest = file;
    const first = await firstStamp(file);
    if (first === undefined || first > since) continue;
    return { file, offset: file.compressed ? 0 : await searchStamp(file, first, since) };
  }
}

async function firstStamp(file: OpenLog): Promise<string | undefined> {
  const block = Buffer.allocUnsafe(2 * LONGEST_RECORD_BYTES);
  await file.source.seek(0);
  let filled = 0;
  for (;;) {
    const count = await file.source.read(block.subarray(filled));
    filled += count;
    const found = firstRecord(block.subarray(0, filled), 0);
    if (found !== undefined) return stampAt(block, found);
    if (count === 0) return undefined;
  }
}

/** Offset of the first whole record that starts at `from` or after a newline behind it. */
function firstRecord(block: Buffer, from: number): number | undefined {
  for (let at = from; ; ) {
    const end = block.indexOf(NEWLINE, at);
    if (end === -1) return undefined;
    if (isRecord(block, at, end)) return at;
    at = end + 1;
  }
}

const SEARCH_ENDS_AT_BYTES = 65_536;
const FIRST_PROBE_BYTES = 4096;

/**
 * Binary search: an offset at or before the first record of the time, at most one probe away from it. Where the records are
 * not in the order of their times (the clock was set back) it is 0: the file is then read from its start.
 */
async function searchStamp(file: OpenLog, first: string, since: string): Promise<number> {
  let low = { offset: 0, stamp: first };
  let high = { offset: file.size, stamp: "" };
  while (high.offset - low.offset > SEARCH_ENDS_AT_BYTES) {
    const middle = Math.floor((low.offset + high.offset) / 2);
    const record = await recordAfter(file, middle, high.offset);
    if (record === undefined) {
      high = { ...high, offset: middle };
      continue;
    }
    if (record.stamp < low.stamp || (high.stamp !== "" && record.stamp > high.stamp)) return 0;
    if (record.stamp < since) low = record;
    else high = { offset: middle, stamp: record.stamp };
  }
  return low.offset;
}

/** The first record that starts behind `offset` and before `limit`. */
async function recordAfter(
  file: OpenLog,
  offset: number,
  limit: number,
): Promise<{ offset: number; stamp: string } | undefined> {
  for (let size = FIRST_PROBE_BYTES; ; size = Math.min(size * 8, 3 * LONGEST_RECORD_BYTES)) {
    const block = Buffer.allocUnsafe(size);
    const { bytesRead } = await file.handle.read(block, 0, size, offset);
    const bytes = block.subarray(0, bytesRead);
    const start = bytes.indexOf(NEWLINE) + 1;
    const found = start === 0 ? undefined : firstRecord(bytes, start);
    if (found !== undefined) {
      return offset + found < limit
        ? { offset: offset + found, stamp: stampAt(bytes, found) }
        : undefined;
    }
    const isLastProbe = size === 3 * LONGEST_RECORD_BYTES;
    if (isLastProbe || bytesRead < size || offset + size > limit + LONGEST_RECORD_BYTES) {
      return undefined;
    }
  }
}

/** The files of a log from the newest to the oldest, opened when they are first asked for. */
class FilesFromNewest {
  readonly #directory: string;
  readonly #unopened: { readonly number: number }[];
  readonly #opened: OpenLog[] = [];

  constructor(directory: string, snapshot: LogSnapshot) {
    this.#directory = directory;
    this.#unopened = [...snapshot.rotated];
    if (snapshot.current !== undefined) this.#opened.push(snapshot.current);
  }

  /** The one of that rank, 0 the newest; undefined when there are fewer, or it was dropped meanwhile. */
  async at(rank: number): Promise<OpenLog | undefined> {
    while (this.#opened.length <= rank) {
      const rotated = this.#unopened.pop();
      if (rotated === undefined) return undefined;
      const file = await openRotated(this.#directory, rotated);
      if (file !== undefined) this.#opened.push(file);
    }
    return this.#opened[rank];
  }

  async oldest(newest: OpenLog): Promise<OpenLog> {
    let oldest = newest;
    for (let rank = 1; ; rank++) {
      const older = await this.at(rank);
      if (older === undefined) return oldest;
      oldest = older;
    }
  }

  async close(except: OpenLog | undefined): Promise<void> {
    for (const file of this.#opened) if (file !== except) await file.handle.close();
  }
}
