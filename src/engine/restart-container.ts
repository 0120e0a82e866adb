import { faultPoint } from "../base/fault-point.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { launchContainer, startable } from "./start-container.ts";
import { endContainer, isRunning, recordEndCause, type StopOptions } from "./stop-container.ts";

/**
 * Stops a container as stopContainer does, unless it does not run, and starts it. Its end is recorded as one that a start
 * follows: it removes nothing (`--rm`), and a killed engine's successor finishes the restart (automatic-restart.ts).
 * @throws invalid-argument (signal); what stop and start throw
 */
export async function restartContainer(
  context: EngineContext,
  name: string,
  options: StopOptions = {},
): Promise<void> {
  const container = context.containers.find(name);
  const { id } = container;
  const ran = isRunning(container);
  if (ran) {
    try {
      await endContainer(context, container, { ...options, cause: "user-restart" });
    } catch (error) {
      recordEndCause(context, id, "");
      throw error;
    }
  }
  faultPoint("restart:stopped");
  if (!(await startAgain(context, id, ran))) return;
  const after = context.containers.withId(id);
  if (after) emitContainerEvent(context, after, "restart");
}

/** False when another client has stopped it for good meanwhile: then that holds. */
function startAgain(context: EngineContext, id: string, ran: boolean): Promise<boolean> {
  return context.lock.hold(id, async () => {
    const container = context.containers.find(id);
    const { status } = container.state;
    if (status === "running") return true;
    if (status === "restarting") {
      context.restarts.clear(id);
      const state = { restartCount: 0, backoffMs: 0 };
      await launchContainer(context, context.containers.update(id, { state }));
      return true;
    }
    if (ran) return false;
    await launchContainer(context, startable(container));
    return true;
  });
}
