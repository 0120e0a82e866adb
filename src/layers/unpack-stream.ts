import { createHash } from "node:crypto";
import { TiffinError } from "../base/error.ts";
import { closeDescriptor, openat2, syncfs } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import { Decompressor } from "./decompressor.ts";
import { writeLayerRecord } from "./layer-record.ts";
import { LayerWriter, type UnpackLimits } from "./layer-writer.ts";
import { TarDecoder } from "./tar-reader.ts";
import { TarRecipeWriter } from "./tar-recipe.ts";
import type { UnpackControl } from "./unpack-control.ts";

/** What an archive should be; either or both may be known. `sha256:` and 64 hexadecimal digits. */
export interface ExpectedDigests {
  /** Of the uncompressed tar. */
  readonly diffId?: string;
  /** Of the bytes as they come; hashed only when it is given. */
  readonly digest?: string;
}

export interface UnpackTask {
  /** An empty directory. */
  readonly directory: string;
  /** Directories of the layers below, the lowest first. */
  readonly lowerDirectories: readonly string[];
  readonly expected: ExpectedDigests;
  readonly limits: UnpackLimits;
  /** Path of a file that is made: what is needed to make the archive again (tar-recipe.ts). null: not wanted. */
  readonly recipe: string | null;
  /** Path of a file that is made: what was unpacked (layer-record.ts). null: not wanted. */
  readonly record: string | null;
}

export interface UnpackedContent {
  readonly diffId: string;
  /** Bytes of the files together, holes counted. */
  readonly unpackedBytes: number;
  readonly entries: number;
  /** Bytes of the uncompressed archive. */
  readonly tarBytes: number;
}

/**
 * Unpacks one layer into an empty directory and writes it to disk. Leaves what it made when it fails: whoever made the
 * directory removes it. Blocks the thread until it is done.
 *
 * With `goesAhead` the layers below are waited for at the end only. Then it may come out that they have a link where this one has
 * a directory: null, and all has to be done again without.
 */
export function unpackStream(
  source: Iterable<Uint8Array>,
  task: UnpackTask,
  control: UnpackControl,
  goesAhead: boolean,
): UnpackedContent | null {
  const descriptors: number[] = [];
  const open = (path: string): number => {
    const descriptor = openat2(AT.FDCWD, path, { flags: O.RDONLY | O.DIRECTORY });
    descriptors.push(descriptor);
    return descriptor;
  };
  try {
    const root = open(task.directory);
    const openLower = (): readonly number[] => {
      if (task.lowerDirectories.length > 0) control.waitForLower();
      return task.lowerDirectories.map(open).reverse();
    };
    const writer = new LayerWriter(root, openLower, { limits: task.limits, goesAhead });
    const recipe = task.recipe === null ? null : new TarRecipeWriter(task.recipe);
    try {
      const digests = writeAll(source, { task, writer, recipe, control });
      if (!writer.finish()) return null;
      recipe?.finish();
      const content = { ...digests, unpackedBytes: writer.bytes, entries: writer.entries };
      if (task.record !== null) {
        writeLayerRecord(task.record, content, recipe !== null);
      }
      // The layer, its recipe and its record at once.
      syncfs(root);
      return content;
    } finally {
      writer.close();
      recipe?.close();
    }
  } finally {
    descriptors.forEach(closeDescriptor);
  }
}

interface Work {
  readonly task: UnpackTask;
  readonly writer: LayerWriter;
  readonly recipe: TarRecipeWriter | null;
  readonly control: UnpackControl;
}

function writeAll(source: Iterable<Uint8Array>, work: Work): { diffId: string; tarBytes: number } {
  const { expected } = work.task;
  const packed = expected.digest === undefined ? null : createHash("sha256");
  const plain = createHash("sha256");
  // Some old writers leave the end mark out; a digest that fits says that nothing is missing.
  const requireEnd = expected.diffId === undefined && expected.digest === undefined;
  const decoder = new TarDecoder({ requireEnd });
  let tarBytes = 0;
  const decompressor = new Decompressor((chunk) => {
    tarBytes += chunk.length;
    if (tarBytes > work.task.limits.bytes) throw bomb(work.task.limits.bytes);
    plain.update(chunk);
    writeChunk(chunk, decoder, work);
  });
  try {
    for (const chunk of source) {
      work.control.checkpoint();
      packed?.update(chunk);
      decompressor.push(chunk);
    }
    decompressor.finish();
  } finally {
    decompressor.close();
  }
  decoder.finish();
  const diffId = digestOf(plain);
  if (packed !== null) compare("digest", digestOf(packed), expected.digest);
  compare("diff ID", diffId, expected.diffId);
  return { diffId, tarBytes };
}

function writeChunk(
  chunk: Uint8Array,
  decoder: TarDecoder,
  { writer, recipe, control }: Work,
): void {
  const noted = recipe?.chunk(chunk);
  for (const event of decoder.push(chunk)) {
    control.checkpoint();
    writer.take(event);
    noted?.take(event);
  }
  noted?.end();
}

function digestOf(hash: ReturnType<typeof createHash>): string {
  return `sha256:${hash.digest("hex")}`;
}

function compare(what: string, actual: string, expected: string | undefined): void {
  if (expected === undefined || expected === actual) return;
  throw new TiffinError(
    "invalid-argument",
    `Cannot unpack layer: its ${what} is ${actual} and should be ${expected}`,
    { hint: "The data is damaged or not what it claims to be: get it again" },
  );
}

function bomb(limit: number): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `Cannot unpack layer: it has more than ${limit} bytes uncompressed`,
    {
      hint: "The archive may be made to fill the disk: use it only when you trust where it comes from",
    },
  );
}
