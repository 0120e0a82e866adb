import { TiffinError } from "../base/error.ts";
import { type TarEntry, TarEntryBuilder } from "./tar-entry.ts";
import { badArchive, BLOCK_BYTES, isZeroBlock, parseHeader, text } from "./tar-header.ts";
import type { TarHeader } from "./tar-header.ts";
import { parsePax } from "./tar-pax.ts";
import {
  oldSparseExtension,
  oldSparseHeader,
  SparseMapReader,
  type SparseRun,
} from "./tar-sparse.ts";

export type { TarEntry };

/** What a decoder finds, in the archive's order: an entry, its data (holes of sparse files left out), its end. */
export type TarEvent =
  | { readonly kind: "entry"; readonly entry: TarEntry }
  /** `offset` is where the bytes belong in the file; `data` is valid until the next push. */
  | { readonly kind: "data"; readonly data: Uint8Array; readonly offset: number }
  | { readonly kind: "end" };

export interface TarDecoderOptions {
  /** Refuse an archive that stops between entries without an end mark; default true. Pointless where a digest is checked. */
  readonly requireEnd?: boolean;
}

/** More than any honest PAX header or long name; each is held in memory. */
const MAXIMUM_EXTENSION_BYTES = 1024 * 1024;

type Phase = "header" | "extension" | "old-sparse" | "sparse-map" | "data" | "padding" | "ended";

/**
 * A tar archive as events, from chunks of any size: ustar, PAX (also global), GNU long names and sparse files, v7.
 * Holds at most one header, its extensions (1 MiB each) and a sparse map in memory.
 * Every error is `invalid-argument` and names the byte of the header. Source: POSIX.1-2017 pax, "EXTENDED DESCRIPTION"; GNU tar manual.
 */
export class TarDecoder {
  private phase: Phase = "header";
  private readonly requireEnd: boolean;
  private readonly block = new Uint8Array(BLOCK_BYTES);
  private blockFilled = 0;
  private position = 0;
  /** Where the current entry's header starts. */
  private headerPosition = 0;
  private zeroBlocks = 0;
  private builder = new TarEntryBuilder();
  private header: TarHeader | null = null;
  private extension: { type: string; body: Uint8Array; filled: number } | null = null;
  private sparseMap: SparseMapReader | null = null;
  private runs: readonly SparseRun[] = [];
  private run = 0;
  private runDone = 0;
  private padding = 0;

  constructor(options: TarDecoderOptions = {}) {
    this.requireEnd = options.requireEnd ?? true;
  }

  /** Takes the next bytes; iterate to the end before the next push. */
  *push(chunk: Uint8Array): Generator<TarEvent, void> {
    let at = 0;
    while (at < chunk.length) {
      const rest = chunk.subarray(at);
      let taken: number;
      if (this.phase === "ended") {
        taken = rest.length;
      } else if (this.phase === "data") {
        taken = yield* this.takeData(rest);
      } else if (this.phase === "padding") {
        taken = Math.min(rest.length, this.padding);
        this.padding -= taken;
        if (this.padding === 0) this.phase = "header";
      } else if (this.phase === "extension") {
        taken = this.takeExtension(rest);
      } else {
        taken = yield* this.takeBlock(rest);
      }
      at += taken;
      this.position += taken;
    }
  }

  /** The archive is over. @throws invalid-argument when it ends inside an entry, or without an end mark */
  finish(): void {
    // Writers that leave the end mark out may leave out the padding before it too (umoci does).
    const isWhole = this.phase === "padding" || (this.phase === "header" && this.blockFilled === 0);
    const between = isWhole && !this.builder.hasExtensions;
    if (this.phase === "ended" || (between && (this.zeroBlocks > 0 || !this.requireEnd))) return;
    const where = between ? "without its end mark" : "in the middle of an entry";
    throw badArchive(this.position, `it ends ${where}`, "The archive is truncated: get it again");
  }

  private *takeData(rest: Uint8Array): Generator<TarEvent, number> {
    const run = this.runs[this.run] ?? { offset: 0, length: 0 };
    const taken = Math.min(rest.length, run.length - this.runDone);
    const offset = run.offset + this.runDone;
    this.runDone += taken;
    if (this.runDone === run.length) {
      this.run += 1;
      this.runDone = 0;
    }
    if (taken > 0) yield { kind: "data", data: rest.subarray(0, taken), offset };
    if (this.run >= this.runs.length) yield* this.endEntry();
    return taken;
  }

  private *endEntry(): Generator<TarEvent, void> {
    this.phase = this.padding > 0 ? "padding" : "header";
    yield { kind: "end" };
  }

  private takeExtension(rest: Uint8Array): number {
    const extension = this.extension;
    if (extension === null) throw new TiffinError("internal", "No extension header is open");
    const taken = Math.min(rest.length, extension.body.length - extension.filled);
    extension.body.set(rest.subarray(0, taken), extension.filled);
    extension.filled += taken;
    if (extension.filled === extension.body.length) this.applyExtension();
    return taken;
  }

  private applyExtension(): void {
    const extension = this.extension;
    if (extension === null) return;
    this.extension = null;
    this.phase = this.padding > 0 ? "padding" : "header";
    if (extension.type === "L") this.builder.setLongName(text(extension.body));
    else if (extension.type === "K") this.builder.setLongLink(text(extension.body));
    else {
      const fields = parsePax(extension.body, this.headerPosition);
      this.builder.addPax(fields, extension.type === "g", this.headerPosition);
    }
  }

  private *takeBlock(rest: Uint8Array): Generator<TarEvent, number> {
    const taken = Math.min(rest.length, BLOCK_BYTES - this.blockFilled);
    this.block.set(rest.subarray(0, taken), this.blockFilled);
    this.blockFilled += taken;
    if (this.blockFilled < BLOCK_BYTES) return taken;
    this.blockFilled = 0;
    if (this.phase === "header") {
      yield* this.takeHeader(this.position + taken - BLOCK_BYTES);
    } else if (this.phase === "old-sparse") {
      const { numbers, extended } = oldSparseExtension(this.block, this.headerPosition);
      this.builder.addSparseNumbers(numbers, this.headerPosition);
      if (!extended) yield* this.startEntry();
    } else {
      this.builder.countSparseMapBlock(this.headerPosition);
      const numbers = this.sparseMap?.push(this.block) ?? null;
      if (numbers !== null) {
        this.builder.addSparseNumbers(numbers, this.headerPosition);
        yield* this.startEntry();
      }
    }
    return taken;
  }

  private *takeHeader(position: number): Generator<TarEvent, void> {
    if (isZeroBlock(this.block)) {
      if (this.builder.hasExtensions)
        throw badArchive(position, "an extension header has no entry");
      this.zeroBlocks += 1;
      if (this.zeroBlocks === 2) this.phase = "ended";
      return;
    }
    if (this.zeroBlocks > 0) throw badArchive(position, "entries follow a block of zeros");
    this.headerPosition = position;
    const header = parseHeader(this.block, position);
    if ("xgLKX".includes(header.type)) {
      this.startExtension(header);
      return;
    }
    this.header = header;
    this.builder.begin(header, position);
    if (header.type === "S") {
      const { numbers, realSize, extended } = oldSparseHeader(this.block, position);
      this.builder.beginOldSparse(realSize);
      this.builder.addSparseNumbers(numbers, position);
      if (extended) {
        this.phase = "old-sparse";
        return;
      }
    }
    if (this.builder.hasSparseMapInData) {
      this.sparseMap = new SparseMapReader(position);
      this.phase = "sparse-map";
      return;
    }
    yield* this.startEntry();
  }

  private startExtension(header: TarHeader): void {
    if (header.size < 0 || header.size > MAXIMUM_EXTENSION_BYTES) {
      const problem = `an extension header claims ${header.size} bytes, more than ${MAXIMUM_EXTENSION_BYTES}`;
      throw badArchive(this.headerPosition, problem);
    }
    this.padding = paddingOf(header.size);
    this.extension = { type: header.type, body: new Uint8Array(header.size), filled: 0 };
    this.phase = "extension";
    if (header.size === 0) this.applyExtension();
  }

  private *startEntry(): Generator<TarEvent, void> {
    const { entry, runs, storedBytes } = this.builder.build();
    this.runs = runs;
    this.run = 0;
    this.runDone = 0;
    this.padding = paddingOf(storedBytes) + (runs.length === 0 ? storedBytes : 0);
    this.phase = "data";
    if (entry !== null) yield { kind: "entry", entry };
    if (entry === null) this.phase = this.padding > 0 ? "padding" : "header";
    else if (runs.length === 0) yield* this.endEntry();
  }
}

function paddingOf(bytes: number): number {
  return (BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

/** An entry with its content. A body that is not read to its end is skipped when the next entry is asked for. */
export interface TarMember {
  readonly entry: TarEntry;
  /** The bytes as they are stored (holes of sparse files left out); can be read once. Chunks are valid until the next one. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * The members of an archive, one after another, from a source that is read no further than needed.
 * @throws invalid-argument for a malformed or truncated archive; what the source throws
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarDecoderOptions = {},
): AsyncGenerator<TarMember, void> {
  const events = tarEvents(source, options);
  try {
    for (;;) {
      const next = await events.next();
      if (next.done === true) return;
      if (next.value.kind !== "entry") continue;
      yield { entry: next.value.entry, body: bodyOf(events) };
    }
  } finally {
    await events.return();
  }
}

async function* tarEvents(
  source: AsyncIterable<Uint8Array>,
  options: TarDecoderOptions,
): AsyncGenerator<TarEvent, void> {
  const decoder = new TarDecoder(options);
  for await (const chunk of source) yield* decoder.push(chunk);
  decoder.finish();
}

// Not `for await`, which would end the events together with the body.
async function* bodyOf(events: AsyncGenerator<TarEvent, void>): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const next = await events.next();
    if (next.done === true || next.value.kind !== "data") return;
    yield next.value.data;
  }
}
