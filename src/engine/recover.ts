import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { foreignPid } from "../launch/report.ts";
import { SupervisorConnection } from "../launch/supervisor-connection.ts";
import { containersDirectory, runDirectory } from "./container-directories.ts";
import { settleExit, watchContainer } from "./container-exit.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { discardDirectory, emptyTrash } from "./discard-directory.ts";
import { watchExec } from "./exec-container.ts";
import { releaseHostResources } from "./release-host-resources.ts";
import { deleteContainer } from "./remove-container.ts";
import { processOf } from "./start-container.ts";
import { isRunning } from "./stop-container.ts";
import { readExitRecord, SupervisedProcess } from "./supervised-process.ts";
import type { Exec } from "./types.ts";
import { timestamp } from "./timestamp.ts";

/**
 * Takes over from an engine that ended in any way at any moment: containers that run are adopted, ends that nobody saw are
 * recorded, half-made and half-removed things are cleaned up. Resolves before the API answers its first request.
 */
export async function recover(context: EngineContext): Promise<void> {
  for (const container of context.containers.all()) await recoverContainer(context, container);
  for (const exec of context.execs.all().filter(({ running }) => running))
    await recoverExec(context, exec);
  await removeStrays(context);
  emptyTrash(context.places);
}

async function recoverContainer(context: EngineContext, container: StoredContainer): Promise<void> {
  const { id } = container;
  if (container.phase === "removing") {
    await releaseHostResources(context, id);
    await deleteContainer(context, container);
  } else if (isRunning(container) || existsSync(runDirectory(context.places, id))) {
    await recoverRunning(context, container);
  } else if (container.state.status === "exited" && container.spec.autoRemove) {
    await releaseHostResources(context, id);
    await deleteContainer(context, container);
  } else {
    await releaseHostResources(context, id);
  }
}

async function recoverRunning(context: EngineContext, container: StoredContainer): Promise<void> {
  const { id } = container;
  const process = processOf(context, container);
  if (await adopt(process, `${context.shortRunPath}/${id}`)) {
    const { startedAt, status } = container.state;
    const pid = process.processId();
    context.containers.update(id, {
      phase: "settled",
      state: {
        status: status === "paused" ? status : "running",
        pid,
        startedAt: isRunning(container) ? startedAt : timestamp(),
      },
    });
    watchContainer(context, id, process);
    return;
  }
  const record = readExitRecord(`${context.shortRunPath}/${id}`);
  if (!isRunning(container) && !record) {
    context.processes.delete(id);
    await releaseHostResources(context, id);
    return;
  }
  await context.lock.hold(id, () => settleExit(context, id, record));
}

/**
 * Connects to a supervisor that an earlier engine started; false when there is none. A launcher that is still at work
 * answers once it has become the supervisor, or closes the connection when it fails.
 */
async function adopt(process: SupervisedProcess, directory: string): Promise<boolean> {
  try {
    const connection = await SupervisorConnection.open(`${directory}/s`);
    const pid = foreignPid(await connection.report());
    process.adopt(connection, pid);
    return true;
  } catch {
    return false;
  }
}

async function recoverExec(context: EngineContext, exec: Exec): Promise<void> {
  const directory = `${context.shortRunPath}/${exec.id}`;
  const process = new SupervisedProcess({ directory, tty: exec.spec.tty, stdinOnce: true });
  context.processes.set(exec.id, process);
  watchExec(context, exec, process);
  if (!(await adopt(process, directory))) process.finish(readExitRecord(directory));
}

/** Directories and cgroups whose container or exec has no record: creates and removals that were cut off. */
async function removeStrays(context: EngineContext): Promise<void> {
  const { places, containers, execs } = context;
  const execIds = new Set(execs.all().map(({ id }) => id));
  for (const id of entries(containersDirectory(places))) {
    if (!containers.withId(id)) discardDirectory(places, join(containersDirectory(places), id));
  }
  for (const id of entries(join(places.run, "processes"))) {
    if (!containers.withId(id) && !execIds.has(id)) {
      rmSync(runDirectory(places, id), { recursive: true, force: true });
    }
  }
  for (const id of context.cgroups.list()) {
    if (containers.withId(id)) continue;
    context.cgroups.kill(id);
    await context.cgroups.remove(id);
  }
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
