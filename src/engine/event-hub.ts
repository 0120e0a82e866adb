import { realtimeNano } from "../kernel/clock.ts";
import type { EngineEvent } from "./types.ts";

const KEPT = 1024;

type Listener = (event: EngineEvent) => void;

/** Hands events to whoever listens and keeps the last ones for `--since`. */
export class EventHub {
  private readonly kept: EngineEvent[] = [];
  private readonly listeners = new Set<Listener>();
  private lastNano = 0n;

  /** Calls `listener` with each event from now on, for as long as the hub lives. */
  observe(listener: Listener): void {
    this.listeners.add(listener);
  }

  emit(event: Omit<EngineEvent, "timeNano">): void {
    // Times stay in the events' order, also when the clock is set back.
    const now = realtimeNano();
    this.lastNano = now > this.lastNano ? now : this.lastNano + 1n;
    const stamped = { ...event, timeNano: this.lastNano };
    this.kept.push(stamped);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const listener of this.listeners) listener(stamped);
  }

  listenerCount(): number {
    return this.listeners.size;
  }

  /** Kept events from `sinceNano` on (none when it is absent), then live ones until `untilNano` or the signal. */
  async *subscribe(
    options: { sinceNano?: bigint; untilNano?: bigint },
    signal: AbortSignal,
  ): AsyncGenerator<EngineEvent> {
    const { sinceNano, untilNano } = options;
    const queue =
      sinceNano === undefined ? [] : this.kept.filter(({ timeNano }) => timeNano >= sinceNano);
    let wake: () => void = () => undefined;
    const listener: Listener = (event) => {
      queue.push(event);
      wake();
    };
    const wakeUp = (): void => wake();
    this.listeners.add(listener);
    signal.addEventListener("abort", wakeUp);
    const timer =
      untilNano === undefined ? undefined : setTimeout(wakeUp, millisecondsTo(untilNano));
    try {
      while (!signal.aborted) {
        const event = queue.shift();
        if (event) {
          if (untilNano !== undefined && event.timeNano > untilNano) return;
          yield event;
        } else if (untilNano !== undefined && millisecondsTo(untilNano) <= 0) {
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      clearTimeout(timer);
      this.listeners.delete(listener);
      signal.removeEventListener("abort", wakeUp);
    }
  }
}

function millisecondsTo(nano: bigint): number {
  return Math.min(Math.max(Number(nano / 1_000_000n) - Date.now() + 1, 0), 2 ** 31 - 1);
}
