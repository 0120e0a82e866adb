import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { bootedAtNano, monotonicMs, realtimeNano } from "../kernel/clock.ts";
import type { ExitRecord } from "../launch/supervisor-connection.ts";
import { containersDirectory, runDirectory } from "./container-directories.ts";
import { type Loss, settleExit, watchContainer } from "./container-exit.ts";
import type { StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { discardDirectory, emptyTrash } from "./discard-directory.ts";
import { resumeEnding } from "./end-run.ts";
import { watchExec } from "./exec-container.ts";
import { thawContainer } from "./freeze-container.ts";
import { resumeHealth } from "./health/container-health.ts";
import { settlePorts } from "./networks/change-ports.ts";
import { keepFirewall } from "./networks/keep-firewall.ts";
import { applyRate } from "./networks/limit-rate.ts";
import {
  recoverAttachments,
  recoverFirewall,
  settleAttachments,
} from "./networks/recover-networks.ts";
import { beginNames } from "./networks/name-service.ts";
import { type Reached, reachSupervisor } from "./reach-supervisor.ts";
import { countVolumeUse, recoverVolumes } from "./recover-volumes.ts";
import { releaseHostResources } from "./release-host-resources.ts";
import { deleteContainer } from "./remove-container.ts";
import { processOf, startedState } from "./start-container.ts";
import { isRunning } from "./stop-container.ts";
import { readExitRecord, SupervisedProcess } from "./supervised-process.ts";
import { timestampOf } from "./timestamp.ts";
import type { ContainerState, Exec } from "./types.ts";
import { applyLimits } from "./update-container.ts";
import { volumeNames } from "./volume-users.ts";

/** How long the engine's start waits for a supervisor that does not answer; it goes on without, and adopts it later. */
const PATIENCE_MS = 5_000;

/**
 * Takes over from an engine that ended in any way at any moment: containers that run are adopted, ends that nobody saw are
 * recorded, half-made and half-removed things are cleaned up. Resolves before the API answers its first request. One
 * container that cannot be recovered is told of and holds up no other.
 */
export async function recover(context: EngineContext): Promise<void> {
  countVolumeUse(context);
  await attempt("find what containers have in networks", async () => recoverAttachments(context));
  for (const container of context.containers.all()) {
    await attempt(`recover container ${container.name}`, () =>
      recoverContainer(context, container),
    );
  }
  for (const exec of context.execs.all()) {
    if (exec.running) await attempt(`recover exec ${exec.id}`, () => recoverExec(context, exec));
    else if (exec.spec.isHealthCheck) context.execs.delete(exec.id);
  }
  await attempt("set the firewall", async () => recoverFirewall(context));
  await attempt("watch the firewall", async () => keepFirewall(context));
  await attempt("settle who is in which network", async () => settleAttachments(context));
  await attempt("remove what has no owner", () => removeStrays(context));
  await attempt("recover volumes", () => recoverVolumes(context));
  emptyTrash(context.places);
  void attempt("remove what no image needs", () => collectImages(context));
}

async function attempt(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(`tiffin: cannot ${what}:`, error);
  }
}

/** Half-made images and those that were removed while containers used them. In the background: files may be many. */
async function collectImages({ containers, images }: EngineContext): Promise<void> {
  await images.collectGarbage({
    isUsed: (id) => containers.all().some(({ imageId }) => imageId === id),
  });
}

async function recoverContainer(context: EngineContext, container: StoredContainer): Promise<void> {
  const { id } = container;
  if (container.phase === "removing") {
    await releaseHostResources(context, id);
    await deleteContainer(context, container);
  } else if (isRunning(container) || existsSync(runDirectory(context.places, id))) {
    await recoverRunning(context, container);
  } else {
    await releaseHostResources(context, id);
    context.health.stop(id);
  }
}

/** It ran when the engine was last alive, or was being started, or its end was being settled. */
async function recoverRunning(context: EngineContext, container: StoredContainer): Promise<void> {
  const { id } = container;
  const directory = `${context.shortRunPath}/${id}`;
  const reaching = reachSupervisor(directory);
  const reached = await Promise.race([reaching, Bun.sleep(PATIENCE_MS).then(() => "silent")]);
  if (typeof reached === "object") {
    adopt(context, container, reached);
  } else if (reached === "silent" && isRunning(container)) {
    const process = processOf(context, container);
    watchContainer(context, id, process);
    void adoptLater(process, directory, reaching).then(() => resumeRun(context, id));
  } else {
    // Nobody was told of a launch that hangs: what it started is killed, and should it ever answer, let go.
    if (reached === "silent") void reaching.then((late) => late?.connection.close());
    await recoverEnded(context, container, readExitRecord(directory));
  }
}

function adopt(context: EngineContext, container: StoredContainer, reached: Reached): void {
  const { id, state } = container;
  const process = processOf(context, container);
  context.volumeUse.begin(id, volumeNames(container.spec));
  // An unpause that was cut off is not recorded.
  const isPaused = state.status === "paused" && context.cgroups.isPaused(id);
  context.containers.update(id, {
    phase: container.phase === "updating" ? "updating" : "settled",
    state: {
      status: isPaused ? "paused" : "running",
      pid: reached.pid,
      ...(isRunning(container) ? {} : startedState(container, startOf(context, id))),
    },
  });
  // A commit or a pause that was cut off has stopped its processes.
  if (!isPaused) thawContainer(context, id);
  watchContainer(context, id, process);
  process.adopt(reached.connection, reached.pid);
  if (container.phase === "updating") finishUpdate(context, container);
  resumeRun(context, id);
}

/** What the engine does about a container that runs: its memory, its health, its longest time, an end that was begun. */
function resumeRun(context: EngineContext, id: string): void {
  const container = context.containers.withId(id);
  if (!container || !isRunning(container)) return;
  context.oom.watch(id, "now");
  beginNames(context, id);
  resumeEnding(context, container);
  if (container.state.status === "running") resumeHealth(context, id);
}

/** Its limits and ports were being changed to what is recorded. */
function finishUpdate(context: EngineContext, container: StoredContainer): void {
  const { id, name, spec } = container;
  try {
    settlePorts(context, container);
  } catch (error) {
    console.error(`tiffin: the ports of container ${name} hold from its next start on:`, error);
  }
  try {
    applyLimits(context, id, spec);
    applyRate(context, id, spec);
  } catch (error) {
    console.error(`tiffin: the limits of container ${name} hold from its next start on:`, error);
  }
  context.containers.setSpec(id, spec, "settled");
}

/** The start of a run that was launched and never recorded. */
function startOf(
  context: EngineContext,
  id: string,
): Pick<ContainerState, "startedAt" | "startedMonotonicMs"> {
  const socket = statSync(`${context.shortRunPath}/${id}/s`, { throwIfNoEntry: false });
  const startedNano = socket ? BigInt(Math.round(socket.mtimeMs * 1e6)) : realtimeNano();
  const agoMs = Math.max(0, Number((realtimeNano() - startedNano) / 1_000_000n));
  return { startedAt: timestampOf(startedNano), startedMonotonicMs: monotonicMs() - agoMs };
}

async function adoptLater(
  process: SupervisedProcess,
  directory: string,
  reaching: Promise<Reached | undefined>,
): Promise<void> {
  const reached = await reaching;
  if (reached) process.adopt(reached.connection, reached.pid);
  else process.finish(readExitRecord(directory));
}

/** No supervisor is left. Without a record it was killed, or a launch was cut off, which leaves nothing. */
async function recoverEnded(
  context: EngineContext,
  container: StoredContainer,
  record: ExitRecord | undefined,
): Promise<void> {
  const { id, state, spec } = container;
  const isSettled = record && state.finishedAt === timestampOf(record.endedNano);
  if (isRunning(container) || (record && !isSettled)) {
    if (!isRunning(container)) {
      context.containers.update(id, { state: startedState(container, startOf(context, id)) });
    }
    const loss = context.boot.isNew ? lostInReboot(container) : undefined;
    await context.lock.hold(id, () => settleExit(context, id, record, loss));
    return;
  }
  await releaseHostResources(context, id);
  // As after any start that fails; what is being restarted starts next.
  if (spec.autoRemove && state.status !== "restarting") await deleteContainer(context, container);
}

/** It ran until the machine went down, which nobody could record. The status is docker's. */
function lostInReboot({ state }: StoredContainer): Loss {
  const bootedAt = timestampOf(bootedAtNano());
  return {
    exitCode: 255,
    error: "The machine went down while the container ran",
    finishedAt: bootedAt > state.startedAt ? bootedAt : state.startedAt,
  };
}

async function recoverExec(context: EngineContext, exec: Exec): Promise<void> {
  const directory = `${context.shortRunPath}/${exec.id}`;
  const process = new SupervisedProcess({ directory, tty: exec.spec.tty, stdinOnce: true });
  context.processes.set(exec.id, process);
  watchExec(context, exec, process);
  const reaching = reachSupervisor(directory);
  const reached = await Promise.race([reaching, Bun.sleep(PATIENCE_MS).then(() => "silent")]);
  if (typeof reached === "object") context.execs.update(exec.id, { pid: reached.pid });
  if (exec.spec.isHealthCheck) endCheck(context, exec, process);
  if (reached === "silent") void adoptLater(process, directory, reaching);
  else await adoptLater(process, directory, reaching);
}

/** Nobody waits for the check of an engine that is gone: the health monitor begins another one. */
function endCheck({ execs }: EngineContext, { id }: Exec, process: SupervisedProcess): void {
  void process.ended.then(() => execs.delete(id));
  process.signal(9).catch(() => undefined);
}

/** Directories and cgroups whose container or exec has no record: creates and removals that were cut off. */
async function removeStrays(context: EngineContext): Promise<void> {
  const { places, containers, execs } = context;
  const execIds = new Set(
    execs
      .all()
      .filter(({ running }) => running)
      .map(({ id }) => id),
  );
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
    await context.cgroups.end(id);
  }
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}
