import type { EngineContext } from "./context.ts";
import type { WaitCondition, WaitResult } from "./types.ts";

interface Waiter {
  readonly condition: WaitCondition;
  readonly resolve: (result: WaitResult) => void;
}

/** Who waits for which container. */
export class WaiterList {
  private readonly waiters = new Map<string, Set<Waiter>>();

  add(id: string, condition: WaitCondition, signal?: AbortSignal): Promise<WaitResult> {
    const { promise, resolve } = Promise.withResolvers<WaitResult>();
    const waiter = { condition, resolve };
    const waiters = this.waiters.get(id) ?? new Set();
    this.waiters.set(id, waiters.add(waiter));
    signal?.addEventListener("abort", () => waiters.delete(waiter));
    return promise;
  }

  /** @param happened "exit" satisfies not-running and next-exit, "removal" satisfies all */
  notify(id: string, happened: "exit" | "removal", result: WaitResult): void {
    const waiters = this.waiters.get(id) ?? new Set();
    for (const waiter of waiters) {
      if (happened === "exit" && waiter.condition === "removed") continue;
      waiters.delete(waiter);
      waiter.resolve(result);
    }
    if (waiters.size === 0) this.waiters.delete(id);
  }
}

/** Registers a wait (docker's conditions); the result comes when the condition holds, at once if it does already. */
export function waitContainer(
  context: EngineContext,
  name: string,
  condition: WaitCondition,
  signal?: AbortSignal,
): { result: Promise<WaitResult> } {
  const { id, state } = context.containers.find(name);
  const runs =
    state.status === "running" || state.status === "paused" || state.status === "restarting";
  if (condition === "not-running" && !runs) {
    return { result: Promise.resolve({ exitCode: state.exitCode }) };
  }
  return { result: context.waiters.add(id, condition, signal) };
}
