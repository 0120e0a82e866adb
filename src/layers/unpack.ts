import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { messageOf, TiffinError } from "../base/error.ts";
import { mkdirat } from "../kernel/files.ts";
import { AT } from "../kernel/flags.ts";
import { closeArchiveFile, openArchiveFile } from "./archive-file.ts";
import { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from "./layer-writer.ts";
import { removeTree } from "./remove-tree.ts";
import { SpareWorkers } from "./spare-workers.ts";
import { UnpackControl } from "./unpack-control.ts";
import { errorOf, type FromWorker, type ToWorker } from "./unpack-message.ts";
import { RING_BYTES, type UnpackSource } from "./archive-source.ts";
import type { ExpectedDigests, UnpackedContent } from "./unpack-stream.ts";

export type { ExpectedDigests, UnpackedContent, UnpackLimits };
export { DEFAULT_UNPACK_LIMITS };

/** An archive: its bytes, or the path of a file, or a file that is still being written. Files are read off the engine's thread. */
export type LayerSource = AsyncIterable<Uint8Array> | string | GrowingFile;

/** A file that another one writes, who also sees to it that it stays there until its growth was told to the end. */
export interface GrowingFile {
  /** The first one comes when the file is there. */
  readonly growth: AsyncIterable<FileGrowth>;
}

export interface FileGrowth {
  /** Always the same. */
  readonly path: string;
  /** How many bytes it has, ever more. Asking for the next growth does not mean that these were read. */
  readonly bytes: number;
}

export interface UnpackOptions {
  /** Is made, and must not be there. On a journey to a final place: a temporary name beside it, renamed afterwards. */
  readonly directory: string;
  /** Directories of the layers below, the lowest first: they give directories that the archive does not bring their attributes. */
  readonly lowerDirectories?: readonly string[];
  /** Settles when the layers below are whole, where they are still being unpacked; left out: they are. */
  readonly lowerReady?: Promise<unknown>;
  readonly expected?: ExpectedDigests;
  readonly limits?: Partial<UnpackLimits>;
  /** Path of a file to make: with it and the directory the very archive can be made again. */
  readonly recipe?: string;
  /** Path of a file to make that says what was unpacked (layer-record.ts). */
  readonly record?: string;
  /** What the source gives in all, when that is known: then the thread does not wait for what the source does at its end. */
  readonly sourceBytes?: number;
  /** Called with the bytes of the archive that were taken so far. */
  readonly onBytes?: (takenBytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Unpacks one layer archive (tar; plain, gzip or zstd) into overlayfs's form, in a thread of its own: whiteouts become
 * 0:0 character devices, opaque directories get trusted.overlay.opaque; owners are the archive's ids as they are.
 *
 * When it resolves, everything is on disk. When it rejects, the directory is gone.
 * Parents that the archive lacks get the attributes that the layers below show for them, else 0755 root.
 * @throws invalid-argument for a malformed, truncated, hostile or oversized archive or a wrong digest; already-exists;
 * resource-exhausted; what the source throws; the signal's reason
 */
export async function unpackLayer(
  source: LayerSource,
  options: UnpackOptions,
): Promise<UnpackedContent> {
  options.signal?.throwIfAborted();
  mkdirat(AT.FDCWD, options.directory, 0o755);
  try {
    return await new Unpacking(options).run(source);
  } catch (error) {
    await removeTree(options.directory);
    throw error;
  }
}

/** In the release executable a worker is found by its embedded name: `bun build --compile src/main.ts src/layers/unpack-worker.ts`. */
function workerPath(): string | URL {
  const embedded = "/$bunfs/";
  return Bun.main.startsWith(embedded)
    ? `${embedded}root/layers/unpack-worker.js`
    : new URL("./unpack-worker.ts", import.meta.url);
}

const threads = new SpareWorkers(workerPath, availableParallelism());

/** One worker and what is known of it. */
class Unpacking {
  private readonly options: UnpackOptions;
  private worker: Worker | null = null;
  private file: number | null = null;
  private readonly control = new UnpackControl();
  /** Settles with the worker's answer, or when it dies without one. */
  private readonly answer: Promise<UnpackedContent>;
  private readonly receive: (message: FromWorker) => void;
  private readonly die: (error: unknown) => void;
  private hasAnswered = false;
  private sent = 0;
  private taken = 0;
  private roomMade: (() => void) | null = null;
  /** The source's end, which may take its time when all bytes are here. */
  private ending: Promise<IteratorResult<unknown>> | null = null;

  constructor(options: UnpackOptions) {
    this.options = options;
    const { promise, resolve, reject } = Promise.withResolvers<UnpackedContent>();
    this.answer = promise;
    // Whoever waits for it sees the rejection; it may come before anyone does.
    promise.catch(() => {});
    this.receive = (message) => {
      if (message.kind === "taken") this.countTaken(message.bytes);
      else {
        this.hasAnswered = true;
        if (message.kind === "done") resolve(message.content);
        else reject(errorOf(message.error));
      }
    };
    this.die = (error) => {
      const words = typeof error === "number" ? `status ${error}` : messageOf(error);
      reject(new TiffinError("internal", `Cannot unpack layer: its thread ended: ${words}`));
    };
  }

  async run(source: LayerSource): Promise<UnpackedContent> {
    const { signal, lowerReady } = this.options;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal?.reason);
    aborted.promise.catch(() => {});
    signal?.addEventListener("abort", abort);
    // Layers below that fail take this one along: its caller calls it off.
    if (lowerReady === undefined) this.control.setLowerReady();
    else
      lowerReady.then(
        () => this.control.setLowerReady(),
        () => {},
      );
    try {
      return await Promise.race([this.work(source, aborted.promise), aborted.promise]);
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.stop();
      // What it makes is there, or is not, once this settles; its error has been told.
      await this.ending?.catch(() => {});
    }
  }

  private work(source: LayerSource, aborted: Promise<never>): Promise<UnpackedContent> {
    if (typeof source === "string") {
      this.start({ kind: "file", path: source });
      return this.answer;
    }
    if ("growth" in source) {
      return this.feed(source.growth, aborted, ({ path, bytes }) => {
        // Opened here and now: soon it may have another name.
        if (this.worker === null) {
          this.file = openArchiveFile(path);
          this.start({ kind: "growing", descriptor: this.file });
        }
        this.send(bytes);
      });
    }
    const bytes = new SharedArrayBuffer(RING_BYTES);
    const ring = new Uint8Array(bytes);
    this.start({ kind: "ring", bytes });
    return this.feed(source, aborted, (chunk) => this.intoRing(ring, chunk, aborted));
  }

  private start(source: UnpackSource): void {
    const { directory, lowerDirectories = [], expected = {}, limits = {} } = this.options;
    const task = {
      directory,
      lowerDirectories,
      expected,
      limits: { ...DEFAULT_UNPACK_LIMITS, ...limits },
      recipe: this.options.recipe ?? null,
      record: this.options.record ?? null,
    };
    const message: ToWorker = { task, source, control: this.control.shared };
    this.worker = threads.take();
    this.worker.on("message", this.receive);
    this.worker.on("error", this.die);
    this.worker.on("exit", this.die);
    this.worker.postMessage(message, []);
  }

  /** Tells what arrives until the source ends, or its declared bytes are here. */
  private async feed<Item>(
    source: AsyncIterable<Item>,
    aborted: Promise<never>,
    deliver: (item: Item) => void | Promise<void>,
  ): Promise<UnpackedContent> {
    const iterator = source[Symbol.asyncIterator]();
    let over = false;
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), this.answer, aborted]);
        if ("diffId" in next) return next;
        if (next.done) break;
        await deliver(next.value);
        if (this.sent === this.options.sourceBytes) break;
      }
      over = true;
      if (this.worker === null) throw new TiffinError("internal", "Cannot unpack layer: no file");
      this.control.setEnded();
      this.ending = iterator.next();
      const [content, { done }] = await Promise.all([this.answer, this.ending]);
      if (done !== true) throw moreThan(this.sent);
      return content;
    } finally {
      // Not awaited: a source that is stuck must not keep the error back. Its own end has nobody else to tell.
      if (!over || this.ending !== null) iterator.return?.().catch(() => {});
    }
  }

  private send(bytes: number): void {
    this.sent = bytes;
    this.control.setArrived(bytes);
  }

  /** Copies a chunk into the ring, never over what the worker has not taken. */
  private async intoRing(
    ring: Uint8Array,
    chunk: Uint8Array,
    aborted: Promise<never>,
  ): Promise<void> {
    for (let rest = chunk; rest.length > 0; ) {
      const start = this.sent % ring.length;
      const free = ring.length - (this.sent - this.taken);
      const part = rest.subarray(0, Math.min(free, ring.length - start));
      if (part.length === 0) await Promise.race([this.room(), this.answer, aborted]);
      if (this.hasAnswered) return;
      ring.set(part, start);
      rest = rest.subarray(part.length);
      this.send(this.sent + part.length);
    }
  }

  private async room(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.roomMade = resolve;
    await promise;
  }

  private countTaken(bytes: number): void {
    this.taken += bytes;
    this.options.onBytes?.(this.taken);
    this.roomMade?.();
    this.roomMade = null;
  }

  /** Ends the work. The thread closes its files when it is asked to stop, so it gets the time to answer. */
  private async stop(): Promise<void> {
    if (this.worker === null) return this.closeFile();
    this.control.cancel();
    try {
      await this.answer;
    } catch (error) {
      // Told already, or made by the line above.
      messageOf(error);
    }
    // We are in the dispatch of the thread's message: it gives its next one only when that is over.
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.closeFile();
    this.worker.off("message", this.receive);
    this.worker.off("error", this.die);
    this.worker.off("exit", this.die);
    if (this.hasAnswered) threads.give(this.worker);
    else await this.worker.terminate();
  }

  private closeFile(): void {
    if (this.file !== null) closeArchiveFile(this.file);
    this.file = null;
  }
}

function moreThan(bytes: number): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `Cannot unpack layer: its archive has more than the ${bytes} bytes declared`,
  );
}
