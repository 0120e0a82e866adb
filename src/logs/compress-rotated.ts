import { createReadStream, createWriteStream } from "node:fs";
import { open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createGzip } from "node:zlib";
import { rotatedLogs } from "./log-files.ts";

const TEMPORARY = /^log\.\d+\.gz\.tmp$/;

/**
 * Compresses the rotated files that are still plain, one after the other, off the main thread; safe against a rotation at
 * the same time and a crash at any moment (a half-made file has a temporary name, which the next call removes). Only one
 * call at a time may run on a directory.
 *
 * Resolves to the numbers of the files that were compressed.
 */
export async function compressRotated(directory: string): Promise<number[]> {
  await removeTemporary(directory);
  const compressed: number[] = [];
  for (const log of await rotatedLogs(directory)) {
    if (!log.compressed && (await compressFile(log.path))) compressed.push(log.number);
  }
  return compressed;
}

/** False when the file was dropped meanwhile. */
async function compressFile(path: string): Promise<boolean> {
  const temporary = `${path}.gz.tmp`;
  try {
    // The quickest level: it takes CPU from the containers, and lines that repeat compress well at any.
    const gzip = createGzip({ level: constants.Z_BEST_SPEED });
    await pipeline(createReadStream(path), gzip, createWriteStream(temporary, { mode: 0o640 }));
    await syncFile(temporary);
    await rename(temporary, `${path}.gz`);
  } catch (error) {
    await rm(temporary, { force: true });
    if (!(await exists(path))) return false;
    throw error;
  }
  // The supervisor drops a file in both forms at once; if it did so just now, the compressed one came too late for it.
  if (!(await exists(path))) {
    await rm(`${path}.gz`, { force: true });
    return false;
  }
  await rm(path, { force: true });
  return true;
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeTemporary(directory: string): Promise<void> {
  const names = await readdir(directory).catch((): string[] => []);
  for (const name of names.filter((one) => TEMPORARY.test(one))) {
    await rm(join(directory, name), { force: true });
  }
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
