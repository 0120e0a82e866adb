import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 256 * 1024;

/**
 * The bytes of a file of the engine's own (never a path from an archive), read on the caller's thread: for workers. Each chunk is
 * valid until the next one is asked for. @throws what node:fs throws
 */
export async function* readArchiveFile(path: string): AsyncGenerator<Uint8Array, void> {
  const file = openSync(path, "r");
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
