import type { FileHandle } from "node:fs/promises";
import { createGunzip } from "node:zlib";
import { Readable } from "node:stream";
import { messageOf, TiffinError } from "../base/error.ts";

/** Bytes in order from a start. */
export interface ByteSource {
  /** Fills `into` from its start, in part or whole; 0: there is nothing more (a plain file may grow later). */
  read(into: Buffer): Promise<number>;
  /** The next read starts at this offset of the (uncompressed) content. */
  seek(offset: number): Promise<void>;
}

export function plainSource(handle: FileHandle): ByteSource {
  let position = 0;
  return {
    read: async (into) => {
      const { bytesRead } = await handle.read(into, 0, into.length, position);
      position += bytesRead;
      return bytesRead;
    },
    seek: async (offset) => {
      position = offset;
    },
  };
}

const COMPRESSED_CHUNK_BYTES = 65_536;
const PLAIN_CHUNK_BYTES = 262_144;

/** A gzip file: seeking means unpacking from the start. @throws data-loss when it is damaged */
export function gzipSource(path: string, handle: FileHandle): ByteSource {
  let chunks = unpacked(path, handle);
  let chunk: Buffer = Buffer.alloc(0);
  const read = async (into: Buffer): Promise<number> => {
    if (chunk.length === 0) {
      const next = await chunks.next();
      if (next.done === true) return 0;
      chunk = next.value;
    }
    const count = chunk.copy(into);
    chunk = chunk.subarray(count);
    return count;
  };
  const seek = async (offset: number): Promise<void> => {
    await chunks.return(undefined);
    chunks = unpacked(path, handle);
    chunk = Buffer.alloc(0);
    const skipped = Buffer.allocUnsafe(PLAIN_CHUNK_BYTES);
    for (let left = offset; left > 0; ) {
      const count = await read(skipped.subarray(0, Math.min(left, skipped.length)));
      if (count === 0) return;
      left -= count;
    }
  };
  return { read, seek };
}

async function* compressedChunks(handle: FileHandle): AsyncGenerator<Buffer> {
  for (let position = 0; ; ) {
    const chunk = Buffer.allocUnsafe(COMPRESSED_CHUNK_BYTES);
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield chunk.subarray(0, bytesRead);
  }
}

async function* unpacked(path: string, handle: FileHandle): AsyncGenerator<Buffer, undefined> {
  const input = Readable.from(compressedChunks(handle), { objectMode: false });
  const gunzip = createGunzip({ chunkSize: PLAIN_CHUNK_BYTES });
  input.on("error", (error) => gunzip.destroy(error));
  input.pipe(gunzip);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    throw new TiffinError("data-loss", `Cannot read log file "${path}": ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    input.destroy();
    gunzip.destroy();
  }
  return undefined;
}
