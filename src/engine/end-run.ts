import type { EngineContext } from "./context.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { StoredContainer } from "./container-table.ts";
import { endProcess, isRunning, recordEndCause, SIGKILL, stopSettings } from "./stop-container.ts";
import type { EndCause } from "./types.ts";

/**
 * Ends a container's run by the engine's own decision, recorded before its process is told: what follows is the restart policy's
 * (restart-policy.ts), also when another engine sees the end. A user's stop that is under way goes first.
 */
export async function endRun(context: EngineContext, id: string, cause: EndCause): Promise<void> {
  const container = context.containers.withId(id);
  if (!container || !isRunning(container)) return;
  if (container.state.endCause === "") recordEndCause(context, id, cause);
  else if (container.state.endCause !== cause) return;
  await endProcess(
    context,
    container,
    cause === "unhealthy-kill" ? { signal: SIGKILL, timeout: 0 } : stopSettings(container.spec),
  );
}

/** Starts the clock of `--timeout`, or goes on with it. */
export function limitRun({ deadlines }: EngineContext, { id, spec, state }: StoredContainer): void {
  if (spec.longestRunMs > 0) deadlines.set(id, state.startedMonotonicMs + spec.longestRunMs);
}

/**
 * Ends a run whose time is over: that of `--timeout`, or of an ending that an earlier engine had begun (or should have begun,
 * for a container that is unhealthy).
 */
export async function endOverdue(context: EngineContext, id: string): Promise<void> {
  const cause = context.containers.withId(id)?.state.endCause;
  await endRun(context, id, cause || "timeout");
}

/** For a run that an earlier engine watched. */
export function resumeEnding(context: EngineContext, container: StoredContainer): void {
  const { id, state } = container;
  const hasBegun = state.endCause !== "" && state.endCause !== "user";
  if (hasBegun) context.deadlines.set(id, monotonicMs());
  else limitRun(context, container);
}
