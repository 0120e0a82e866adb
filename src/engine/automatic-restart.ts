import { faultPoint } from "../base/fault-point.ts";
import { monotonicMs } from "../kernel/clock.ts";
import { NEVER, type StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { comesBack } from "./restart-policy.ts";
import { restartContainer } from "./restart-container.ts";
import { launchContainer } from "./start-container.ts";
import { isRunning } from "./stop-container.ts";

/** After a restart whose failure could not even be recorded. */
const NEXT_TRY_MS = 1000;

/** Goes on with what restarts, and brings back what is to run whenever an engine does. Once, after recovery. */
export function resumeRestarts(context: EngineContext): void {
  context.restarts.onDue((id) => restartNow(context, id));
  for (const container of context.containers.all()) {
    const { id, state, phase } = container;
    if (phase === "removing") continue;
    if (state.status === "restarting") {
      // An earlier boot's times mean nothing now.
      context.restarts.set(id, context.boot.isNew ? 0 : state.restartDueMs);
    } else if (isRunning(container) && state.endCause === "user-restart") {
      restartContainer(context, id).catch((error: unknown) =>
        console.error(`tiffin: cannot finish the restart of container ${id}:`, error),
      );
    } else if (isToComeBack(container)) {
      const fresh = { restartCount: 0, backoffMs: 0, restartDueMs: monotonicMs() };
      context.containers.update(id, { state: { status: "restarting", ...fresh } });
      context.restarts.set(id, 0);
    }
  }
}

function isToComeBack({ spec, state }: StoredContainer): boolean {
  const hasRun = state.startedAt !== NEVER;
  return hasRun && state.status === "exited" && comesBack(spec.restartPolicy, state.endCause);
}

/** The pause is over. A start that fails records what follows; one that cannot record it is tried again. */
async function restartNow(context: EngineContext, id: string): Promise<void> {
  await context.lock.hold(id, async () => {
    const container = context.containers.withId(id);
    if (container?.state.status !== "restarting" || container.phase === "removing") return;
    try {
      faultPoint("restart:due");
      await launchContainer(context, container);
    } catch (error) {
      const isStuck =
        context.containers.withId(id)?.state.status === "restarting" && !context.restarts.has(id);
      if (!isStuck) return;
      context.restarts.set(id, monotonicMs() + NEXT_TRY_MS);
      throw error;
    }
  });
}
