import { mkdirSync } from "node:fs";
import { faultPoint } from "../base/fault-point.ts";
import { isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import { monotonicMs } from "../kernel/clock.ts";
import type { Launched } from "../launch/launcher.ts";
import type { PlannedLink } from "../network/link-operations.ts";
import { nextLogNumber } from "../logs/index.ts";
import { containerDirectories, runDirectory } from "./container-directories.ts";
import { nextState, watchContainer } from "./container-exit.ts";
import { makeBindSources } from "./container-mounts.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { limitRun } from "./end-run.ts";
import type { ExplainedStep } from "./engine.ts";
import { explainLaunched } from "./explain.ts";
import { mountVolumes } from "./mount-volumes.ts";
import { joinNetworks } from "./networks/join-networks.ts";
import { checkLinks, isServedNames, writeNameFiles } from "./networks/name-files.ts";
import { beginNames, serveNamesEarly } from "./networks/name-service.ts";
import { planContainer, type StartPlan } from "./plan-container.ts";
import { afterFailedRestart } from "./restart-policy.ts";
import { commandLine } from "./merge-image-config.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import { runtimeFailure } from "./runtime/runtime-failure.ts";
import { readPid } from "./runtime/runtime-program.ts";
import { releaseHostResources } from "./release-host-resources.ts";
import { deleteContainer } from "./remove-container.ts";
import { SupervisedProcess } from "./supervised-process.ts";
import { timestamp } from "./timestamp.ts";
import type { ContainerState } from "./types.ts";

/**
 * Starts a container that does not run.
 * @throws not-modified when it runs; conflict when it is paused or being removed; the failed step's error
 */
export function startContainer(
  context: EngineContext,
  name: string,
  options: { timings?: boolean } = {},
): Promise<{ timings?: ExplainedStep[] }> {
  const { id } = context.containers.find(name);
  return context.lock.hold(id, async () => {
    const container = startable(context.containers.find(id));
    const launched = await launchContainer(context, container);
    return options.timings ? { timings: explainLaunched(launched) } : {};
  });
}

/** @throws not-modified, conflict: why it cannot be started now */
export function startable(container: StoredContainer): StoredContainer {
  const { status } = container.state;
  // As docker: it will start by itself.
  if (status === "running" || status === "restarting") {
    throw new TiffinError("not-modified", `Container ${container.id} is already running`);
  }
  if (status === "paused") {
    throw new TiffinError("conflict", "Cannot start a paused container, try unpause instead");
  }
  if (container.phase === "removing") {
    throw new TiffinError("conflict", "Container is marked for removal and cannot be started");
  }
  return container;
}

/** The process record of a container: made by whoever attaches or starts first. */
export function processOf(context: EngineContext, container: StoredContainer): SupervisedProcess {
  const known = context.processes.get(container.id);
  if (known) return known;
  const { tty, stdinOnce } = container.spec;
  const process = new SupervisedProcess({
    directory: `${context.shortRunPath}/${container.id}`,
    tty,
    stdinOnce,
  });
  context.processes.set(container.id, process);
  return process;
}

/** Starts it, whatever started it: a user, or its restart policy. The lock is held. */
export async function launchContainer(
  context: EngineContext,
  container: StoredContainer,
): Promise<Launched> {
  const { id } = container;
  const directories = containerDirectories(context.places, id);
  const process = processOf(context, container);
  faultPoint("start:begun");
  // Those of its last run were kept until now, for their clients to learn how they ended.
  context.execs.deleteOf(id);
  try {
    // Its being there tells recovery that a start is under way.
    mkdirSync(directories.run, { mode: 0o700 });
    faultPoint("start:directory");
    makeBindSources(container.spec.mountPoints);
    await mountVolumes(context, container);
    faultPoint("start:volumes");
    const { cgroupParent: parent, resources } = container.spec;
    context.cgroups.prepareParentOf({ parent, resources });
    const nextLog = await nextLogNumber(directories.logs);
    const links = joinNetworks(context, container, await context.ready.takeLink(container));
    checkLinks(context, container);
    writeNameFiles(context, container);
    const plan = planContainer(context, container, { streams: process.wanted(), nextLog, links });
    if (plan.rest && isServedNames(context, container)) {
      context.ready.beginFor(container);
      serveNamesEarly(context, container, await context.ready.pidOf(id));
    }
    const launched = await launch(context, container, { plan, links }).catch((error: unknown) => {
      throw launchFailure(container, directories.run, error);
    });
    faultPoint("start:launched");
    const pid = launched.report.register("pid");
    const started = context.containers.update(id, {
      phase: "settled",
      state: {
        ...startedState(container, { startedAt: timestamp(), startedMonotonicMs: monotonicMs() }),
        status: "running",
        pid,
      },
    });
    faultPoint("start:running");
    emitContainerEvent(context, container, "start");
    watchContainer(context, id, process);
    process.adopt(launched.connection, pid);
    beginNames(context, id);
    limitRun(context, started);
    context.health.begin(id);
    return launched;
  } catch (error) {
    await undoStart(context, container, error);
    throw startError(container, error);
  }
}

/** By the launch that is ready for it, or from the beginning. */
async function launch(
  context: EngineContext,
  { id }: StoredContainer,
  { plan, links }: { readonly plan: StartPlan; readonly links: readonly PlannedLink[] },
): Promise<Launched> {
  const launched = plan.rest && (await context.ready.goOn(id, plan.rest));
  if (launched) return launched;
  // Of a ready launch that could not go on.
  for (const { endpoint, isMade } of links) {
    if (isMade === true) context.networks.host.deleteLink(endpoint.hostIndex);
  }
  return context.launcher.launch(
    plan.operations(),
    `tiffin-${id.slice(0, 8)}`,
    plan.inherited,
    () => readPid(runDirectory(context.places, id)),
  );
}

function launchFailure({ spec }: StoredContainer, directory: string, error: unknown): unknown {
  if (!isForeignRuntime(spec.runtime)) return error;
  const command = commandLine(spec)[0] ?? "";
  return runtimeFailure(error, { runtime: spec.runtime, directory, command });
}

/** The state at the start of a run. What a user starts begins to count its restarts anew. */
export function startedState(
  { state }: StoredContainer,
  when: Pick<ContainerState, "startedAt" | "startedMonotonicMs">,
): Partial<ContainerState> {
  return {
    ...when,
    ...(state.status === "restarting" ? {} : { restartCount: 0, backoffMs: 0 }),
    exitCode: 0,
    oomKilled: false,
    error: "",
    lostLogBytes: 0,
    endCause: "",
  };
}

/** docker's exit codes of a container that never ran: 127 not found, 126 not executable, 128 all else. */
export function failedExitCode(error: unknown): number {
  if (isTiffinError(error, "command-not-found")) return 127;
  return isTiffinError(error, "command-not-executable") ? 126 : 128;
}

async function undoStart(
  context: EngineContext,
  container: StoredContainer,
  error: unknown,
): Promise<void> {
  const { id } = container;
  const process = context.processes.get(id);
  context.processes.delete(id);
  await context.ready.release(id);
  await releaseHostResources(context, id);
  const exitCode = failedExitCode(error);
  const failed = context.containers.update(id, {
    phase: "settled",
    state: { ...failedState(container, error), exitCode, error: messageOf(error) },
  });
  process?.finish(undefined);
  context.waiters.notify(id, "exit", { exitCode });
  const { status, restartDueMs } = failed.state;
  if (status === "restarting") context.restarts.set(id, restartDueMs);
  else if (container.spec.autoRemove) await deleteContainer(context, failed);
}

/** A first start that fails leaves the container as it was; a restart that fails may be tried again. */
function failedState({ spec, state }: StoredContainer, error: unknown): Partial<ContainerState> {
  if (state.status !== "restarting") return {};
  const next = afterFailedRestart(spec.restartPolicy, state, {
    exitCode: failedExitCode(error),
    isExhausted: isTiffinError(explainExhaustion(error), "resource-exhausted"),
  });
  return { ...nextState(next), finishedAt: timestamp() };
}

function startError(container: StoredContainer, thrown: unknown): TiffinError {
  const error = explainExhaustion(thrown);
  const options = isTiffinError(error)
    ? {
        cause: error,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        ...(error.details ? { details: error.details } : {}),
      }
    : { cause: error };
  const code = isTiffinError(error) ? error.code : "internal";
  const what = messageOf(error).replace(/^Cannot /, "cannot ");
  return new TiffinError(code, `Cannot start container "${container.name}": ${what}`, options);
}
