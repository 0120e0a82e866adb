import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { zstdCompressSync } from "node:zlib";
import { TiffinError } from "../base/error.ts";
import { decodeFileName, encodeFileName } from "../kernel/file-name.ts";
import { closeDescriptor, openat2 } from "../kernel/files.ts";
import { O, RESOLVE } from "../kernel/flags.ts";
import { readArchiveFile } from "./archive-file.ts";
import { Decompressor } from "./decompressor.ts";
import type { TarEvent } from "./tar-reader.ts";

/**
 * What is needed to make a layer's very archive again from its directory: all bytes that are not contents of files (headers,
 * padding, the end), and for contents which file has them. A sequence of steps, compressed in frames of zstd:
 *
 *     1, u32 LENGTH, bytes                                     these bytes
 *     2, u16 LENGTH, path, u64 OFFSET, u64 LENGTH              so many bytes of that file of the layer
 */
const LITERAL = 1;
const CONTENT = 2;
const LITERAL_HEAD = 5;
const CONTENT_FIXED = 19;

/** Steps are compressed and written so many bytes at a time. */
const FRAME_BYTES = 1 << 20;
const READ_BYTES = 1 << 20;
/** Shorter contents cost less as they are than a reference to them. */
const SHORTEST_REFERENCE = 64;

interface Run {
  readonly path: string;
  readonly offset: number;
  length: number;
}

/** Writes a recipe while its archive is unpacked. */
export class TarRecipeWriter {
  readonly #file: number;
  #path = "";
  #run: Run | undefined;
  #literal: Buffer[] = [];
  #literalBytes = 0;
  #steps: Buffer[] = [];
  #stepBytes = 0;
  /** @throws the system's errors */
  constructor(path: string) {
    this.#file = openSync(path, "wx", 0o600);
  }

  /** A chunk of the archive begins: its bytes are literal but for what {@link take} says. */
  chunk(bytes: Uint8Array): ChunkRecipe {
    return new ChunkRecipe(this, bytes);
  }

  /** Contents that follow are this file's. Those of a whiteout are nobody's: they are in no file. */
  entry(path: string): void {
    this.#path = /(?:^|\/)\.wh\.[^/]*$/.test(path) ? "" : path;
  }

  literal(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#endRun();
    this.#literal.push(Buffer.from(bytes));
    this.#literalBytes += bytes.length;
    if (this.#literalBytes >= FRAME_BYTES) this.#endLiteral();
  }

  content(bytes: Uint8Array, offset: number): void {
    const run = this.#run;
    if (run?.path === this.#path && run.offset + run.length === offset) {
      run.length += bytes.length;
      return;
    }
    if (bytes.length < SHORTEST_REFERENCE || this.#path === "") return this.literal(bytes);
    this.#endRun();
    this.#endLiteral();
    this.#run = { path: this.#path, offset, length: bytes.length };
  }

  /** Everything is in: writes what is left. The caller syncs the file system. */
  finish(): void {
    this.#endRun();
    this.#endLiteral();
    this.#flush();
  }

  close(): void {
    closeSync(this.#file);
  }

  #endRun(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const path = encodeFileName(run.path);
    const step = Buffer.alloc(CONTENT_FIXED);
    step.writeUInt8(CONTENT, 0);
    step.writeUInt16LE(path.length, 1);
    step.writeBigUInt64LE(BigInt(run.offset), 3);
    step.writeBigUInt64LE(BigInt(run.length), 11);
    this.#step(Buffer.concat([step, path]));
  }

  #endLiteral(): void {
    if (this.#literal.length === 0) return;
    const bytes = Buffer.concat(this.#literal);
    this.#literal = [];
    this.#literalBytes = 0;
    const head = Buffer.alloc(LITERAL_HEAD);
    head.writeUInt8(LITERAL, 0);
    head.writeUInt32LE(bytes.length, 1);
    this.#step(Buffer.concat([head, bytes]));
  }

  #step(bytes: Buffer): void {
    this.#steps.push(bytes);
    this.#stepBytes += bytes.length;
    if (this.#stepBytes >= FRAME_BYTES) this.#flush();
  }

  #flush(): void {
    const frame = zstdCompressSync(Buffer.concat(this.#steps));
    this.#steps = [];
    this.#stepBytes = 0;
    for (let at = 0; at < frame.length; ) at += writeSync(this.#file, frame, at);
  }
}

/** One chunk of the archive on its way into a recipe. */
class ChunkRecipe {
  readonly #writer: TarRecipeWriter;
  readonly #bytes: Uint8Array;
  #done = 0;

  constructor(writer: TarRecipeWriter, bytes: Uint8Array) {
    this.#writer = writer;
    this.#bytes = bytes;
  }

  take(event: TarEvent): void {
    if (event.kind === "entry") this.#writer.entry(event.entry.path);
    if (event.kind !== "data") return;
    const start = event.data.byteOffset - this.#bytes.byteOffset;
    this.#writer.literal(this.#bytes.subarray(this.#done, start));
    this.#writer.content(event.data, event.offset);
    this.#done = start + event.data.length;
  }

  end(): void {
    this.#writer.literal(this.#bytes.subarray(this.#done));
  }
}

/**
 * The archive that a recipe was made of, from the layer's directory; a chunk is valid until the next one. Whoever reads it checks its digest: files may have been
 * changed, or named twice in the archive.
 *
 * @throws data-loss when the recipe is damaged or a file is missing or shorter
 */
export function* followRecipe(recipe: string, root: number): Generator<Uint8Array, void> {
  const steps = new StepReader(stepsOf(recipe));
  const buffer = new Uint8Array(READ_BYTES);
  for (;;) {
    const kind = steps.take(1);
    if (kind === undefined) return;
    if (kind[0] === LITERAL) {
      const head = steps.must(LITERAL_HEAD - 1);
      const length = head.readUInt32LE(0);
      yield steps.must(length);
    } else if (kind[0] === CONTENT) {
      const head = steps.must(CONTENT_FIXED - 1);
      const length = head.readUInt16LE(0);
      const path = decodeFileName(steps.must(length));
      const run = {
        path,
        offset: Number(head.readBigUInt64LE(2)),
        length: Number(head.readBigUInt64LE(10)),
      };
      yield* contentOf(root, run, buffer);
    } else throw damaged("it has a step of no known kind");
  }
}

function* contentOf(root: number, run: Run, chunk: Uint8Array): Generator<Uint8Array, void> {
  const file = openat2(root, run.path, {
    flags: O.RDONLY | O.NOFOLLOW | O.NONBLOCK,
    resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS,
  });
  try {
    for (let done = 0; done < run.length; ) {
      const wanted = Math.min(chunk.length, run.length - done);
      const count = readSync(file, chunk, 0, wanted, run.offset + done);
      if (count === 0) throw damaged(`${JSON.stringify(run.path)} is shorter than it was`);
      done += count;
      yield chunk.subarray(0, count);
    }
  } finally {
    closeDescriptor(file);
  }
}

/** Each piece has memory of its own. */
function* stepsOf(recipe: string): Generator<Buffer, void> {
  const ready: Buffer[] = [];
  const decompressor = new Decompressor((bytes) => ready.push(Buffer.from(bytes)));
  try {
    for (const bytes of readArchiveFile(recipe)) {
      decompressor.push(bytes);
      yield* ready.splice(0);
    }
    decompressor.finish();
    yield* ready;
  } finally {
    decompressor.close();
  }
}

class StepReader {
  readonly #source: Iterator<Buffer, void>;
  #pending: Buffer = Buffer.alloc(0);

  constructor(source: Iterator<Buffer, void>) {
    this.#source = source;
  }

  /** So many bytes; undefined at the end of the recipe. */
  take(length: number): Buffer | undefined {
    const parts = [this.#pending];
    let available = this.#pending.length;
    while (available < length) {
      const next = this.#source.next();
      if (next.done === true) {
        if (available > 0) throw damaged("it ends in a step");
        return undefined;
      }
      parts.push(next.value);
      available += next.value.length;
    }
    const all = parts.length === 1 ? this.#pending : Buffer.concat(parts);
    this.#pending = all.subarray(length);
    return all.subarray(0, length);
  }

  must(length: number): Buffer {
    const bytes = this.take(length);
    if (bytes === undefined) throw damaged("it ends in a step");
    return bytes;
  }
}

function damaged(reason: string): TiffinError {
  return new TiffinError("data-loss", `Cannot make the layer's archive again: ${reason}`, {
    hint: "Remove the image and load or pull it again",
  });
}
