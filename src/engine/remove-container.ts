import { faultPoint } from "../base/fault-point.ts";
import { TiffinError } from "../base/error.ts";
import { containerDirectories } from "./container-directories.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { discardDirectory } from "./discard-directory.ts";
import { cancelRestart } from "./cancel-restart.ts";
import { isRunning, recordEndCause } from "./stop-container.ts";
import { bindVolumes, removeBoundVolumes } from "./remove-volume.ts";

/** Removes a container and its layer and log. @throws conflict when it runs and force is false */
export async function removeContainer(
  context: EngineContext,
  name: string,
  options: { force: boolean; volumes: boolean },
): Promise<void> {
  const asked = context.containers.find(name);
  const { id } = asked;
  if (!options.force && asked.state.status === "restarting") throw stillRuns(asked);
  await cancelRestart(context, id, "user");
  const container = context.containers.withId(id);
  if (container && isRunning(container)) {
    if (!options.force) throw stillRuns(container);
    recordEndCause(context, id, "user");
    await killWhole(context, id);
  }
  await context.lock.hold(id, async () => {
    const current = context.containers.withId(id);
    if (!current) return;
    if (isRunning(current)) throw stillRuns(current);
    bindVolumes(context, current, options.volumes);
    await deleteContainer(context, current);
  });
}

/** How long a process that was killed with its groups may take to end before its supervisor is asked to kill it. */
const GROUP_PATIENCE_MS = 200;

/** Resolves once the end is recorded. Only a privileged process can have left its groups: the supervisor kills that one. */
async function killWhole(context: EngineContext, id: string): Promise<void> {
  const exited = context.waiters.add(id, "not-running");
  context.cgroups.kill(id);
  faultPoint("remove:killed");
  const askSupervisor = (): void => {
    context.processes
      .get(id)
      ?.signal(9)
      .catch(() => undefined);
  };
  const timer = setTimeout(askSupervisor, GROUP_PATIENCE_MS);
  try {
    await exited;
  } finally {
    clearTimeout(timer);
  }
}

function stillRuns({ name, id, state }: StoredContainer): TiffinError {
  const { status } = state;
  const what =
    status === "paused"
      ? "paused and must be unpaused first"
      : `${status}: stop the container before removing or force remove`;
  return new TiffinError("conflict", `Cannot remove container "/${name}": container is ${what}`, {
    hint: `Stop it first (tiffin stop ${name}), or remove it with force (tiffin rm -f ${name})`,
    details: { id },
  });
}

/**
 * Removes a container that does not run and holds nothing on the host any more (it never started, or its end is settled). A
 * killed engine's successor goes on where this one was. The lock is held.
 */
export async function deleteContainer(
  context: EngineContext,
  container: StoredContainer,
): Promise<void> {
  const { id } = container;
  if (container.spec.autoRemove) bindVolumes(context, container, true);
  if (container.phase !== "removing") context.containers.update(id, { phase: "removing" });
  faultPoint("remove:recorded");
  await context.ready.release(id);
  context.processes.get(id)?.finish(undefined);
  context.processes.delete(id);
  discardDirectory(context.places, containerDirectories(context.places, id).state);
  faultPoint("remove:discarded");
  context.execs.deleteOf(id);
  await removeBoundVolumes(context, id);
  faultPoint("remove:volumes");
  context.containers.delete(id);
  faultPoint("remove:deleted");
  emitContainerEvent(context, container, "destroy");
  context.waiters.notify(id, "removal", { exitCode: container.state.exitCode });
}
