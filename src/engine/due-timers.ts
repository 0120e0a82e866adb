import { monotonicMs } from "../kernel/clock.ts";

/** setTimeout takes no more. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1;

/**
 * One timer per container, due at a time of the machine's monotonic clock: what is recorded so is right for the next engine
 * too, and whoever sets the clock changes nothing.
 */
export class DueTimers {
  private readonly what: string;
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();
  private work: (id: string) => Promise<void> = () => Promise.resolve();

  /** @param what says in an error what could not be done: `restart container` */
  constructor(what: string) {
    this.what = what;
  }

  /** What is done when a container's time has come. */
  onDue(work: (id: string) => Promise<void>): void {
    this.work = work;
  }

  /** Replaces the container's timer. */
  set(id: string, dueMs: number): void {
    this.clear(id);
    const pauseMs = Math.min(Math.max(Math.ceil(dueMs - monotonicMs()), 0), LONGEST_PAUSE_MS);
    this.timers.set(
      id,
      setTimeout(() => {
        this.timers.delete(id);
        if (monotonicMs() < dueMs) this.set(id, dueMs);
        else this.run(id);
      }, pauseMs),
    );
  }

  has(id: string): boolean {
    return this.timers.has(id);
  }

  clear(id: string): void {
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
  }

  close(): void {
    for (const id of this.timers.keys()) this.clear(id);
    this.work = () => Promise.resolve();
  }

  private run(id: string): void {
    this.work(id).catch((error: unknown) =>
      console.error(`tiffin: cannot ${this.what} ${id}:`, error),
    );
  }
}
