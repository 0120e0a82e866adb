import { type FSWatcher, watch } from "node:fs";
import type { LogControl, LogRequest } from "./log-request.ts";

/** inotify tells of every write; this is for what it may miss (a full queue, a file system without it). */
const RECHECK_MS = 1000;

/** Says when a log that is followed may have more, and when it is over. */
export class LogWatch {
  /** Nothing more will be written, or nothing more is wanted: what is there is the rest. */
  isOver: boolean;
  readonly #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #untilNano: bigint;
  readonly #signal: AbortSignal | undefined;
  #resume: (() => void) | undefined;
  #hasNews = false;

  constructor(directory: string, request: LogRequest, control: LogControl) {
    this.isOver = !request.follow;
    this.#signal = control.signal;
    this.#untilNano = request.untilNano;
    if (this.isAborted) this.isOver = true;
    if (!request.follow) return;
    this.#signal?.addEventListener("abort", this.#finish);
    control.ended?.then(this.#finish, this.#finish);
    this.#timer = setInterval(this.#look, RECHECK_MS);
    this.#watcher = watchDirectory(directory, this.#look);
  }

  /** The reader went away. */
  get isAborted(): boolean {
    return this.#signal?.aborted === true;
  }

  /** Resolves when something may have changed since the last call. */
  changed(): Promise<void> {
    if (this.#hasNews || this.isOver) {
      this.#hasNews = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#timer);
    this.#signal?.removeEventListener("abort", this.#finish);
  }

  readonly #finish = (): void => {
    this.isOver = true;
    this.#wake();
  };

  readonly #look = (): void => {
    const isPast = this.#untilNano > 0n && BigInt(Date.now()) * 1_000_000n > this.#untilNano;
    if (isPast) this.#finish();
    else this.#wake();
  };

  #wake(): void {
    const resume = this.#resume;
    this.#resume = undefined;
    if (resume === undefined) this.#hasNews = true;
    else resume();
  }
}

function watchDirectory(directory: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, wake);
    // The directory goes with its container: the next look at it tells.
    watcher.on("error", wake);
    return watcher;
  } catch {
    // No directory, or no more inotify instances on this host: the timer looks.
    return undefined;
  }
}
