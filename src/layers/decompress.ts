import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { messageOf, TiffinError } from "../base/error.ts";

export type Compression = "none" | "gzip" | "zstd";

/** Enough bytes to tell every format here. */
export const MAGIC_BYTES = 6;
const OUTPUT_BYTES = 256 * 1024;
/** What the runtime's threads decompress beforehand, while what came before is being used. */
const AHEAD_BYTES = 4 * OUTPUT_BYTES;

/** The compression of a stream by its first bytes. @throws invalid-argument for a format that is known and not supported */
export function compressionOf(start: Uint8Array): Compression {
  const hex = Buffer.from(start.subarray(0, MAGIC_BYTES)).toString("hex");
  if (hex.startsWith("1f8b")) return "gzip";
  // zstd may begin with a skippable frame.
  if (hex.startsWith("28b52ffd") || /^5[0-9a-f]2a4d18/.test(hex)) return "zstd";
  const other = hex.startsWith("fd377a585a00") ? "xz" : hex.startsWith("425a68") ? "bzip2" : null;
  if (other === null) return "none";
  throw new TiffinError("invalid-argument", `Cannot read archive: it is compressed with ${other}`, {
    hint: "Decompress it first, or compress it with gzip or zstd",
  });
}

/**
 * The bytes of a stream uncompressed; gzip, zstd (several members or frames too) and plain are told apart by their first bytes.
 * A chunk of the source is done with when the next one is asked for (but for a first one of less than six bytes).
 * @throws invalid-argument when the compressed data is damaged or ends early; what the source throws
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const iterator = source[Symbol.asyncIterator]();
  const start: Uint8Array[] = [];
  let length = 0;
  while (length < MAGIC_BYTES) {
    const next = await iterator.next();
    if (next.done === true) break;
    start.push(next.value);
    length += next.value.length;
  }
  const compression = compressionOf(Buffer.concat(start));
  const whole = rejoin(start, iterator);
  if (compression === "none") yield* whole;
  else yield* inflate(whole, compression);
}

async function* rejoin(
  start: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  try {
    yield* start;
    for (let next = await rest.next(); next.done !== true; next = await rest.next())
      yield next.value;
  } finally {
    await rest.return?.();
  }
}

async function* inflate(
  source: AsyncIterable<Uint8Array>,
  compression: "gzip" | "zstd",
): AsyncGenerator<Uint8Array, void> {
  const options = { chunkSize: OUTPUT_BYTES, readableHighWaterMark: AHEAD_BYTES };
  const transform = compression === "gzip" ? createGunzip(options) : createZstdDecompress(options);
  let sourceError: unknown;
  const feeding = feed(source, transform).catch((error: unknown) => {
    sourceError = error;
    transform.destroy();
  });
  try {
    for await (const chunk of transform) yield chunk as Uint8Array;
    await feeding;
    if (sourceError !== undefined) throw sourceError;
  } catch (error) {
    if (sourceError !== undefined) throw sourceError;
    throw damagedArchive(compression, error);
  } finally {
    transform.destroy();
  }
}

/** One chunk at a time: `source` may use its memory again. Ends early, without an error, when the transform is destroyed. */
async function feed(source: AsyncIterable<Uint8Array>, transform: Transform): Promise<void> {
  const closed = new Promise<void>((resolve) => transform.once("close", resolve));
  for await (const chunk of source) {
    const taken = new Promise<void>((resolve) => transform.write(chunk, () => resolve()));
    await Promise.race([taken, closed]);
    if (transform.destroyed) return;
  }
  transform.end();
}

export function damagedArchive(compression: Compression, cause: unknown): TiffinError {
  const problem = `its ${compression} data is damaged or truncated: ${messageOf(cause)}`;
  return new TiffinError("invalid-argument", `Cannot read archive: ${problem}`, {
    hint: "Get the archive again",
    cause,
  });
}
