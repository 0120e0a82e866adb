import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 256 * 1024;

/**
 * The bytes of a file of the engine's own (never a path from an archive), read on the caller's thread: for workers. Each chunk is
 * valid until the next one is asked for. @throws what node:fs throws
 */
export function* readArchiveFile(path: string): Generator<Uint8Array, void> {
  const file = openArchiveFile(path);
  try {
    const bytes = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const count = readSync(file, bytes, 0, bytes.length, null);
      if (count === 0) return;
      yield bytes.subarray(0, count);
    }
  } finally {
    closeSync(file);
  }
}

/** Whoever calls closes it. @throws what node:fs throws */
export function openArchiveFile(path: string): number {
  return openSync(path, "r");
}

export function closeArchiveFile(file: number): void {
  closeSync(file);
}
