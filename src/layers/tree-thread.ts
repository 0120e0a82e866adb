import { messageOf, TiffinError } from "../base/error.ts";
import { SpareWorkers } from "./spare-workers.ts";
import type { FromTreeWorker, ToTreeWorker, TreeResult, TreeTask } from "./tree-task.ts";
import { errorOf } from "./unpack-message.ts";

export interface TreeTaskOptions {
  /** The archive that a `write` unpacks. */
  readonly input?: AsyncIterable<Uint8Array>;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes of input on their way before the source has to wait. */
const WINDOW_BYTES = 2 * 1024 * 1024;
/** In the release executable a worker is found by its embedded name: see scripts/build.ts. */
function workerPath(): string | URL {
  const embedded = "/$bunfs/";
  return Bun.main.startsWith(embedded)
    ? `${embedded}root/layers/tree-worker.js`
    : new URL("./tree-worker.ts", import.meta.url);
}

const threads = new SpareWorkers(workerPath, 1);

/**
 * Does a task in a thread of its own and gives its results as they come; the thread runs ahead of whoever takes them by two
 * megabytes at most. Ending early (`return`, or the signal) cancels the work; when the iteration is over, so is the work, and nothing
 * of it is left: no mount, no descriptor.
 *
 * @throws the task's error; unavailable at the signal; what the input throws
 */
export async function* runTreeTask(
  task: TreeTask,
  options: TreeTaskOptions = {},
): AsyncGenerator<TreeResult, void> {
  const run = new TreeRun(options.signal);
  try {
    run.start(task);
    if (options.input !== undefined) void run.feed(options.input);
    for (;;) {
      const result = await run.next();
      if (result === undefined) return;
      yield result;
      run.used(result);
    }
  } finally {
    await run.end();
  }
}

type Waiter = () => void;

class TreeRun {
  private readonly worker = threads.take();
  private readonly cancelled = new Int32Array(new SharedArrayBuffer(4));
  private readonly results: TreeResult[] = [];
  private readonly signal: AbortSignal | undefined;
  private failure: unknown;
  private isOver = false;
  private isReusable = false;
  private wakeReader: Waiter | undefined;
  private wakeFeeder: Waiter | undefined;
  private wakeEnd: Waiter | undefined;
  private sent = 0;
  private taken = 0;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
    this.worker.on("message", this.receive);
    this.worker.on("error", this.died);
    this.worker.on("exit", this.died);
    signal?.addEventListener("abort", this.aborted);
    if (signal?.aborted === true) this.aborted();
  }

  start(task: TreeTask): void {
    this.post({ kind: "start", task, cancelled: this.cancelled });
  }

  /** The next result; undefined at the end. */
  async next(): Promise<TreeResult | undefined> {
    for (;;) {
      if (this.failure !== undefined) throw this.failure;
      const result = this.results.shift();
      if (result !== undefined) return result;
      if (this.isOver) return undefined;
      await new Promise<void>((resolve) => {
        this.wakeReader = resolve;
      });
    }
  }

  used(result: TreeResult): void {
    if (result.kind === "chunk") this.post({ kind: "used", bytes: result.data.length });
  }

  /** Hands the input over, never more than the window ahead of the thread. */
  async feed(input: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of input) {
        if (this.isOver || this.failure !== undefined) return;
        if (chunk.length === 0) continue;
        // A copy of its own can be handed over; the source may use its buffer again.
        const data = new Uint8Array(chunk);
        this.sent += data.length;
        this.post({ kind: "chunk", data }, [data.buffer]);
        while (this.sent - this.taken > WINDOW_BYTES && !this.isOver) await this.room();
      }
      this.post({ kind: "end" });
    } catch (error) {
      this.fail(error);
    }
  }

  /** Cancels what is not over, waits for the thread to have cleaned up, and gives it back or up. */
  async end(): Promise<void> {
    this.signal?.removeEventListener("abort", this.aborted);
    if (!this.isOver) {
      Atomics.store(this.cancelled, 0, 1);
      this.post({ kind: "cancel" });
      await new Promise<void>((resolve) => {
        this.wakeEnd = resolve;
      });
    }
    this.wakeFeeder?.();
    this.worker.off("message", this.receive);
    this.worker.off("error", this.died);
    this.worker.off("exit", this.died);
    if (this.isReusable) threads.give(this.worker);
    else await this.worker.terminate();
  }

  private post(message: ToTreeWorker, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  private readonly receive = (message: FromTreeWorker): void => {
    if (message.kind === "taken") {
      this.taken += message.bytes;
      this.wakeFeeder?.();
    } else if (message.kind === "done") this.over(message.reusable);
    else if (message.kind === "failed") {
      this.failure ??= errorOf(message.error);
      this.over(message.reusable);
    } else {
      this.results.push(message);
      this.wakeReader?.();
    }
  };

  private readonly died = (error: unknown): void => {
    if (this.isOver) return;
    const words = typeof error === "number" ? `status ${error}` : messageOf(error);
    this.failure ??= new TiffinError(
      "internal",
      `Cannot work on the container's files: the thread ended: ${words}`,
    );
    this.over(false);
  };

  /** Who asked has left: nothing that anybody should read about. */
  private readonly aborted = (): void =>
    this.fail(new TiffinError("unavailable", "Cannot go on: the work was cancelled"));

  private fail(error: unknown): void {
    this.failure ??= error;
    this.wakeReader?.();
  }

  private over(isReusable: boolean): void {
    this.isOver = true;
    this.isReusable = isReusable;
    this.wakeReader?.();
    this.wakeFeeder?.();
    this.wakeEnd?.();
  }

  private async room(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wakeFeeder = resolve;
    });
  }
}
