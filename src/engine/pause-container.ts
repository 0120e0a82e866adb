import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { freezeContainer } from "./freeze-container.ts";
import { runningProcess } from "./stop-container.ts";

/**
 * Stops every process of a container where it is; resolves once they all stand.
 * @throws conflict when it does not run, is paused already, or does not stop
 */
export function pauseContainer(context: EngineContext, name: string): Promise<void> {
  const { id } = context.containers.find(name);
  return context.lock.hold(id, async () => {
    const container = context.containers.find(id);
    checkPausable(context, container);
    await freezeContainer(context, id, "pause");
    faultPoint("pause:frozen");
    context.containers.update(id, { state: { status: "paused" } });
    faultPoint("pause:recorded");
    emitContainerEvent(context, container, "pause");
  });
}

function checkPausable(context: EngineContext, container: StoredContainer): void {
  const { id, state } = container;
  if (state.status === "paused") {
    throw new TiffinError("conflict", `Container ${id} is already paused`, {
      hint: `Let it go on: tiffin unpause ${container.name}`,
    });
  }
  if (state.status === "restarting") {
    throw new TiffinError(
      "conflict",
      `Container ${id} is restarting, wait until the container is running`,
    );
  }
  runningProcess(context, container);
}
