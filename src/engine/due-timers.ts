import { monotonicMs } from "../kernel/clock.ts";

/** setTimeout takes no more. */
const LONGEST_PAUSE_MS = 2 ** 31 - 1;

/**
 * One due time per container, of the machine's monotonic clock: what is recorded so is right for the next engine too, and
 * whoever sets the clock changes nothing. All share one timer, so what is due together wakes the engine once.
 */
export class DueTimers {
  private readonly what: string;
  private readonly dueMs = new Map<string, number>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private armedMs = Infinity;
  private work: (id: string) => Promise<void> = () => Promise.resolve();

  /** @param what says in an error what could not be done: `restart container` */
  constructor(what: string) {
    this.what = what;
  }

  /** What is done when a container's time has come. */
  onDue(work: (id: string) => Promise<void>): void {
    this.work = work;
  }

  /** Replaces the container's due time. */
  set(id: string, dueMs: number): void {
    this.dueMs.set(id, dueMs);
    if (dueMs < this.armedMs) this.arm(dueMs);
  }

  has(id: string): boolean {
    return this.dueMs.has(id);
  }

  clear(id: string): void {
    this.dueMs.delete(id);
    // A timer that finds nothing due is harmless, but an engine without any should sleep.
    if (this.dueMs.size === 0) this.disarm();
  }

  close(): void {
    this.dueMs.clear();
    this.disarm();
    this.work = () => Promise.resolve();
  }

  private arm(dueMs: number): void {
    this.disarm();
    this.armedMs = dueMs;
    const pauseMs = Math.min(Math.max(Math.ceil(dueMs - monotonicMs()), 0), LONGEST_PAUSE_MS);
    this.timer = setTimeout(() => this.fire(), pauseMs);
  }

  private disarm(): void {
    clearTimeout(this.timer);
    this.armedMs = Infinity;
  }

  private fire(): void {
    this.armedMs = Infinity;
    const nowMs = monotonicMs();
    const due = [...this.dueMs].filter(([, dueMs]) => dueMs <= nowMs).map(([id]) => id);
    for (const id of due) this.dueMs.delete(id);
    for (const id of due) this.run(id);
    const nextMs = Math.min(...this.dueMs.values());
    if (nextMs < this.armedMs) this.arm(nextMs);
  }

  private run(id: string): void {
    this.work(id).catch((error: unknown) =>
      console.error(`tiffin: cannot ${this.what} ${id}:`, error),
    );
  }
}
