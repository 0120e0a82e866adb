import { ERRNO } from "../base/errno.ts";
import { type FileStatus, ftruncate } from "./files.ts";
import { syscallError, syscallRaw } from "./syscall.ts";

/** Of a file's status: fewer of them than its size needs are holes. */
const BLOCK_BYTES = 512;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
/** What is copied between two pauses for the event loop: about a millisecond from memory. */
const CHUNK_BYTES = 2 * 1024 * 1024;
const FALLBACK_ERRORS: readonly number[] = [
  -ERRNO.EXDEV,
  -ERRNO.EINVAL,
  -ERRNO.EOPNOTSUPP,
  -ERRNO.ENOSYS,
];

/**
 * Copies an open file into an empty one, as long as its status says: holes stay holes, and a file system
 * that can shares the blocks (copy_file_range(2)). With pauses for the event loop.
 */
export async function copyData(
  from: number,
  to: number,
  { sizeBytes, blocks }: FileStatus,
): Promise<void> {
  if (sizeBytes === 0) return;
  if (blocks * BLOCK_BYTES >= sizeBytes) {
    await copyRange(from, to, { start: 0, end: sizeBytes });
    return;
  }
  ftruncate(to, sizeBytes);
  for (let at = 0; at < sizeBytes; ) {
    const start = syscallRaw("lseek", from, at, SEEK_DATA);
    // ENXIO: only a hole is left.
    if (start === -ERRNO.ENXIO) return;
    const hole = start < 0 ? sizeBytes : syscallRaw("lseek", from, start, SEEK_HOLE);
    const end = Math.min(hole < 0 ? sizeBytes : hole, sizeBytes);
    await copyRange(from, to, { start: Math.max(start, 0), end });
    at = Math.max(end, at + 1);
  }
}

async function copyRange(
  from: number,
  to: number,
  range: { start: number; end: number },
): Promise<void> {
  let at = range.start;
  while (at < range.end) {
    const count = Math.min(range.end - at, CHUNK_BYTES);
    const copied = copyOnce(from, to, { at, count });
    // The file became shorter meanwhile.
    if (copied === 0) return;
    at += copied;
    if (at < range.end) await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

function copyOnce(from: number, to: number, part: { at: number; count: number }): number {
  const offsets = new BigInt64Array([BigInt(part.at), BigInt(part.at)]);
  const input = new Uint8Array(offsets.buffer, 0, 8);
  const output = new Uint8Array(offsets.buffer, 8, 8);
  const result = syscallRaw("copy_file_range", from, input, to, output, part.count, 0);
  if (result >= 0) return result;
  if (!FALLBACK_ERRORS.includes(result)) {
    throw syscallError("copy_file_range", result, "copy a file's content");
  }
  return sendOnce(from, to, part);
}

/** Between file systems that cannot copy for each other. */
function sendOnce(from: number, to: number, part: { at: number; count: number }): number {
  const input = new Uint8Array(new BigInt64Array([BigInt(part.at)]).buffer);
  syscallRaw("lseek", to, part.at, 0);
  const result = syscallRaw("sendfile", to, from, input, part.count);
  if (result < 0) throw syscallError("sendfile", result, "copy a file's content");
  return result;
}
