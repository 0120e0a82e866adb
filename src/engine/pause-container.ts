import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { runningProcess } from "./stop-container.ts";

const POLL_MS = 2;
const PATIENCE_MS = 10_000;

/**
 * Stops every process of a container where it is; resolves once they all stand.
 * @throws conflict when it does not run or is paused already; unavailable when a process does not stop (one that waits for a
 * disk that does not answer): all go on then
 */
export function pauseContainer(context: EngineContext, name: string): Promise<void> {
  const { id } = context.containers.find(name);
  return context.lock.hold(id, async () => {
    const container = context.containers.find(id);
    checkPausable(context, container);
    await freeze(context, container);
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

async function freeze({ cgroups }: EngineContext, { id, name }: StoredContainer): Promise<void> {
  cgroups.freeze(id);
  const start = performance.now();
  while (!cgroups.isFrozen(id)) {
    if (performance.now() - start > PATIENCE_MS) {
      cgroups.thaw(id);
      throw new TiffinError(
        "unavailable",
        `Cannot pause container "${name}": its processes did not stop within ${PATIENCE_MS / 1000} s`,
        { hint: "One may be waiting for a disk or network file system that does not answer" },
      );
    }
    await Bun.sleep(POLL_MS);
  }
}
