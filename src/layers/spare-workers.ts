import { Worker } from "node:worker_threads";

/** How long a thread without work is kept: starting one, and compiling its code again, takes longer than most work. */
const IDLE_MS = 3000;

interface Spare {
  readonly worker: Worker;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** Threads of one kind that have nothing to do, kept for a while, which do not keep the process alive. */
export class SpareWorkers {
  readonly #path: () => string | URL;
  readonly #limit: number;
  readonly #spares: Spare[] = [];

  /** `path`: the code of the threads. */
  constructor(path: () => string | URL, limit: number) {
    this.#path = path;
    this.#limit = limit;
  }

  /** One that waits for work, or a new one. */
  take(): Worker {
    const spare = this.#spares.pop();
    if (spare === undefined) return new Worker(this.#path());
    clearTimeout(spare.timer);
    spare.worker.ref();
    return spare.worker;
  }

  /** One that is as it was when it was taken, without the taker's listeners. */
  give(worker: Worker): void {
    if (this.#spares.length >= this.#limit) {
      void worker.terminate();
      return;
    }
    const timer = setTimeout(() => {
      this.#spares.splice(
        this.#spares.findIndex((spare) => spare.worker === worker),
        1,
      );
      void worker.terminate();
    }, IDLE_MS);
    timer.unref();
    worker.unref();
    this.#spares.push({ worker, timer });
  }
}
