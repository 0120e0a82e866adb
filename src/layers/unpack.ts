import { Worker } from "node:worker_threads";
import { messageOf, TiffinError } from "../base/error.ts";
import { mkdirat } from "../kernel/files.ts";
import { AT } from "../kernel/flags.ts";
import { DEFAULT_UNPACK_LIMITS, type UnpackLimits } from "./layer-writer.ts";
import { removeTree } from "./remove-tree.ts";
import {
  CANCELLED,
  CONTROL_WORDS,
  errorOf,
  type FromWorker,
  LOWER_READY,
  type ToWorker,
} from "./unpack-message.ts";
import type { ExpectedDigests, UnpackedContent } from "./unpack-stream.ts";

export type { ExpectedDigests, UnpackedContent, UnpackLimits };
export { DEFAULT_UNPACK_LIMITS };

/** An archive: its bytes, or the path of a file (which is read off the engine's thread). */
export type LayerSource = AsyncIterable<Uint8Array> | string;

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

/** Bytes on their way to the worker before the source has to wait. */
const WINDOW_BYTES = 4 * 1024 * 1024;

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

/** One worker and what is known of it. */
class Unpacking {
  private readonly options: UnpackOptions;
  private readonly worker = new Worker(workerPath());
  private readonly control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS));
  /** Settles with the worker's answer, or when it dies without one. */
  private readonly answer: Promise<UnpackedContent>;
  private sent = 0;
  private taken = 0;
  private roomMade: (() => void) | null = null;
  /** The source's end, which may take its time when all bytes are here. */
  private ending: Promise<IteratorResult<Uint8Array>> | null = null;

  constructor(options: UnpackOptions) {
    this.options = options;
    const { promise, resolve, reject } = Promise.withResolvers<UnpackedContent>();
    this.answer = promise;
    // Whoever waits for it sees the rejection; it may come before anyone does.
    promise.catch(() => {});
    this.worker.on("message", (message: FromWorker) => {
      if (message.kind === "taken") this.countTaken(message.bytes);
      else if (message.kind === "done") resolve(message.content);
      else reject(errorOf(message.error));
    });
    const died = (words: string): void =>
      reject(new TiffinError("internal", `Cannot unpack layer: its thread ended: ${words}`));
    this.worker.on("error", (error) => died(messageOf(error)));
    this.worker.on("exit", (status) => died(`status ${status}`));
  }

  async run(source: LayerSource): Promise<UnpackedContent> {
    const { signal } = this.options;
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => aborted.reject(signal?.reason);
    aborted.promise.catch(() => {});
    signal?.addEventListener("abort", abort);
    const whole = (): void => {
      Atomics.store(this.control, LOWER_READY, 1);
      Atomics.notify(this.control, LOWER_READY);
    };
    // Layers below that fail take this one along: its caller calls it off.
    if (this.options.lowerReady === undefined) whole();
    else this.options.lowerReady.then(whole, () => {});
    try {
      this.start(typeof source === "string" ? source : null);
      const feeding = typeof source === "string" ? this.answer : this.feed(source, aborted.promise);
      return await Promise.race([feeding, aborted.promise]);
    } finally {
      signal?.removeEventListener("abort", abort);
      await this.stop();
      // What it makes is there, or is not, once this settles; its error has been told.
      await this.ending?.catch(() => {});
    }
  }

  private start(file: string | null): void {
    const { directory, lowerDirectories = [], expected = {}, limits = {} } = this.options;
    const task = {
      directory,
      lowerDirectories,
      expected,
      limits: { ...DEFAULT_UNPACK_LIMITS, ...limits },
      recipe: this.options.recipe ?? null,
      record: this.options.record ?? null,
    };
    this.post({ kind: "start", task, file, control: this.control });
  }

  private post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  /** Hands the archive over, never more than the window ahead of the worker. */
  private async feed(
    source: AsyncIterable<Uint8Array>,
    aborted: Promise<never>,
  ): Promise<UnpackedContent> {
    const iterator = source[Symbol.asyncIterator]();
    let over = false;
    try {
      for (;;) {
        const next = await Promise.race([iterator.next(), this.answer, aborted]);
        if ("diffId" in next) return next;
        if (next.done) break;
        // A copy of its own can be handed over without another one; the source may use its buffer again.
        const data = new Uint8Array(next.value);
        this.sent += data.length;
        this.post({ kind: "chunk", data }, [data.buffer]);
        if (this.sent === this.options.sourceBytes) break;
        if (this.sent - this.taken > WINDOW_BYTES)
          await Promise.race([this.room(), this.answer, aborted]);
      }
      over = true;
      this.post({ kind: "end" });
      this.ending = iterator.next();
      const [content, { done }] = await Promise.all([this.answer, this.ending]);
      if (done !== true) throw moreThan(this.sent);
      return content;
    } finally {
      // Not awaited: a source that is stuck must not keep the error back. Its own end has nobody else to tell.
      if (!over || this.ending !== null) iterator.return?.().catch(() => {});
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
    if (this.sent - this.taken <= WINDOW_BYTES) {
      this.roomMade?.();
      this.roomMade = null;
    }
  }

  /** Ends the thread. It closes its files when it is asked to stop, so it gets the time to answer. */
  private async stop(): Promise<void> {
    Atomics.store(this.control, CANCELLED, 1);
    this.post({ kind: "cancel" });
    try {
      await this.answer;
    } catch (error) {
      // Told already, or made by the line above.
      messageOf(error);
    }
    await this.worker.terminate();
  }
}

function moreThan(bytes: number): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `Cannot unpack layer: its archive has more than the ${bytes} bytes declared`,
  );
}
