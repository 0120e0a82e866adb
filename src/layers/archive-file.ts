import { createReadStream } from "node:fs";

const CHUNK_BYTES = 256 * 1024;

/** The bytes of a file of the engine's own (never a path from an archive). @throws what node:fs throws */
export async function* readArchiveFile(path: string): AsyncGenerator<Uint8Array, void> {
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    yield chunk as Uint8Array;
  }
}
