import { faultPoint } from "../base/fault-point.ts";
import type { EngineContext } from "./context.ts";
import type { EndCause } from "./types.ts";

/**
 * Ends the pause before a restart: the container stays as it ended.
 * @returns false when it does not restart (any more): it runs, or has ended for good
 */
export async function cancelRestart(
  context: EngineContext,
  id: string,
  endCause: EndCause,
): Promise<boolean> {
  return context.lock.hold(id, () => {
    const container = context.containers.withId(id);
    if (container?.state.status !== "restarting") return false;
    context.restarts.clear(id);
    context.containers.update(id, { state: { status: "exited", endCause } });
    faultPoint("restart:cancelled");
    context.waiters.notify(id, "exit", { exitCode: container.state.exitCode });
    return true;
  });
}
