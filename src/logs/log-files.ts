import { type FileHandle, open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TiffinError, messageOf } from "../base/error.ts";
import { type ByteSource, gzipSource, plainSource } from "./byte-source.ts";

/** Name of the file that is written to. The supervisor renames it to `log.N` when it is full; N rises by one each time. */
export const CURRENT_LOG = "log";

const ROTATED = /^log\.(\d+)(\.gz)?$/;

export interface RotatedLog {
  readonly number: number;
  readonly compressed: boolean;
  readonly path: string;
}

/** An open file of a log. It stays readable when it is renamed or removed. */
export interface OpenLog {
  /** Its number once it is rotated: files with a greater one hold what was written later. */
  readonly number: number;
  readonly compressed: boolean;
  readonly inode: number;
  /** Bytes when it was opened; of the compressed file if it is one. */
  readonly size: number;
  readonly handle: FileHandle;
  readonly source: ByteSource;
}

/** The rotated files, the oldest first. Where a file is there plain and compressed (it is just being compressed), the plain one. */
export async function rotatedLogs(directory: string): Promise<RotatedLog[]> {
  const byNumber = new Map<number, RotatedLog>();
  for (const name of await readdir(directory).catch(emptyWhenMissing)) {
    const match = ROTATED.exec(name);
    if (match === null) continue;
    const number = Number(match[1]);
    const compressed = match[2] !== undefined;
    if (compressed && byNumber.has(number)) continue;
    byNumber.set(number, { number, compressed, path: join(directory, name) });
  }
  return [...byNumber.values()].toSorted((one, other) => one.number - other.number);
}

/** The number that the next rotated file gets: for a supervisor that starts on this directory. */
export async function nextLogNumber(directory: string): Promise<number> {
  return ((await rotatedLogs(directory)).at(-1)?.number ?? 0) + 1;
}

/** Bytes that a log takes on disk, all its files together; 0 when there is none. */
export async function logSizeBytes(directory: string): Promise<number> {
  const names = await readdir(directory).catch(emptyWhenMissing);
  const sizes = names
    .filter((name) => name === CURRENT_LOG || name.startsWith(`${CURRENT_LOG}.`))
    .map(
      async (name) => (await stat(join(directory, name)).catch(undefinedWhenMissing))?.size ?? 0,
    );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** All files of a log at one moment; `current` is missing before the first start. */
export interface LogSnapshot {
  readonly rotated: readonly RotatedLog[];
  readonly current: OpenLog | undefined;
}

/**
 * The files of a log, none left out and none named twice even when it is being rotated. The caller closes `current`.
 * `after`: number of a file that is known to be older than the current one.
 */
export async function logSnapshot(directory: string, after: number = 0): Promise<LogSnapshot> {
  for (let tries = 0; ; tries++) {
    const path = join(directory, CURRENT_LOG);
    const handle = await open(path).catch(undefinedWhenMissing);
    const rotated = await rotatedLogs(directory);
    if (handle === undefined) {
      // Between the two steps of a rotation there is no current file for a moment.
      if (rotated.length === 0 || tries === 3) return { rotated, current: undefined };
      await sleep(1);
      continue;
    }
    const [opened, named] = await Promise.all([
      handle.stat(),
      stat(path).catch(undefinedWhenMissing),
    ]);
    if (opened.ino === named?.ino || tries === 20) {
      const number = Math.max(after, rotated.at(-1)?.number ?? 0) + 1;
      const current = await openLog({ number, compressed: false, path }, handle);
      return { rotated, current };
    }
    await handle.close();
  }
}

/** Opens a rotated file in the form it has by now; undefined when it was dropped. */
export async function openRotated(
  directory: string,
  log: Pick<RotatedLog, "number">,
): Promise<OpenLog | undefined> {
  // Plain, compressed, and plain again: the first look may come just before the file is compressed.
  for (const compressed of [false, true]) {
    const path = join(directory, `${CURRENT_LOG}.${log.number}${compressed ? ".gz" : ""}`);
    const handle = await open(path).catch(undefinedWhenMissing);
    if (handle !== undefined) return openLog({ number: log.number, compressed, path }, handle);
  }
  return undefined;
}

/** The file that follows `file`, or undefined when there is none yet. */
export async function openAfter(directory: string, file: OpenLog): Promise<OpenLog | undefined> {
  const { rotated, current } = await logSnapshot(directory, file.number);
  for (const candidate of rotated.filter(({ number }) => number > file.number)) {
    const next = await openRotated(directory, candidate);
    // With a log that keeps no rotated files the numbers are unknown, and this may be the file itself.
    if (next !== undefined && next.inode !== file.inode) {
      await current?.handle.close();
      return next;
    }
    await next?.handle.close();
  }
  if (current?.inode !== file.inode) return current;
  await current.handle.close();
  return undefined;
}

/** True when nothing will be written to the file any more, since another one has taken its name. */
export async function isRotated(directory: string, file: OpenLog): Promise<boolean> {
  if (file.compressed) return true;
  const named = await stat(join(directory, CURRENT_LOG)).catch(undefinedWhenMissing);
  return named?.ino !== file.inode;
}

async function openLog(log: RotatedLog, handle: FileHandle): Promise<OpenLog> {
  const { ino, size } = await handle.stat();
  const source = log.compressed ? gzipSource(log.path, handle) : plainSource(handle);
  return { number: log.number, compressed: log.compressed, inode: ino, size, handle, source };
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}

function undefinedWhenMissing(error: unknown): undefined {
  if (isMissing(error)) return undefined;
  throw logError(error);
}

function emptyWhenMissing(error: unknown): string[] {
  if (isMissing(error)) return [];
  throw logError(error);
}

function logError(error: unknown): TiffinError {
  return new TiffinError("internal", `Cannot read the log: ${messageOf(error)}`, { cause: error });
}
