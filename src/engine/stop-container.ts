import { faultPoint } from "../base/fault-point.ts";
import { isTiffinError, TiffinError } from "../base/error.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { isForeignRuntime } from "./runtime/find-runtime.ts";
import { signalByRuntime } from "./runtime/run-runtime.ts";
import { cancelRestart } from "./cancel-restart.ts";
import { signalNumber } from "../base/signal-number.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import type { ContainerSpec, EndCause } from "./types.ts";
import { resumeIfPaused } from "./unpause-container.ts";

const DEFAULT_TIMEOUT_SECONDS = 10;
export const SIGKILL = 9;

/** @throws conflict when the container does not run */
export function runningProcess(
  context: EngineContext,
  container: StoredContainer,
): SupervisedProcess {
  const process = context.processes.get(container.id);
  if (process && isRunning(container)) return process;
  throw new TiffinError("conflict", `Container ${container.id} is not running`, {
    hint: `Start it first: tiffin start ${container.name}`,
  });
}

export function isRunning(container: StoredContainer): boolean {
  return container.state.status === "running" || container.state.status === "paused";
}

/** Signals the container's first process. @throws conflict when it does not run; invalid-argument (signal) */
export async function killContainer(
  context: EngineContext,
  name: string,
  signal: string,
): Promise<void> {
  const container = context.containers.find(name);
  const number = signalNumber(signal || "KILL");
  if (isStopSignal(container, number)) {
    if (await cancelRestart(context, container.id, "user")) return;
    recordEndCause(context, container.id, "user");
  } else if (container.state.status === "restarting") return;
  const process = runningProcess(context, container);
  // Whoever looks after a kill finds it ended, as with docker: recorded, and not only dead.
  const exited =
    number === SIGKILL ? context.waiters.add(container.id, "not-running") : Promise.resolve();
  await signalProcess(context, container, { process, number });
  faultPoint("kill:signalled");
  emitContainerEvent(context, container, "kill", { signal: String(number) });
  if (isStopSignal(container, number)) await resumeIfPaused(context, container.id);
  await exited;
}

/** @throws conflict when it has ended */
async function signalProcess(
  context: EngineContext,
  { id, spec }: StoredContainer,
  { process, number }: { readonly process: SupervisedProcess; readonly number: number },
): Promise<void> {
  if (!isForeignRuntime(spec.runtime)) return process.signal(number);
  if (await signalByRuntime(context, id, number)) return;
  // A runtime may fail because the signal has done its work: its state is gone before it looks again.
  await process.signal(number).catch((error: unknown) => {
    if (!isTiffinError(error, "conflict")) throw error;
  });
}

export interface StopOptions {
  /** "" or absent: the container's own, else SIGTERM. */
  readonly signal?: string;
  /** Negative: never kill. */
  readonly timeoutSeconds?: number;
}

/**
 * Asks the container's first process to end, and after the timeout (negative: never) kills the whole container. Resolves
 * once it is recorded as exited. @throws not-modified when it does not run
 */
export async function stopContainer(
  context: EngineContext,
  name: string,
  options: StopOptions,
): Promise<void> {
  const asked = context.containers.find(name);
  if (await cancelRestart(context, asked.id, "user")) {
    const stopped = context.containers.withId(asked.id);
    if (stopped) emitContainerEvent(context, stopped, "stop");
    return;
  }
  const container = context.containers.find(asked.id);
  if (!isRunning(container)) {
    throw new TiffinError("not-modified", `Container ${container.id} is not running`);
  }
  await endContainer(context, container, { ...options, cause: "user" });
}

/** Ends a container that runs or is paused. Resolves once its end is recorded. @throws invalid-argument (signal) */
export async function endContainer(
  context: EngineContext,
  container: StoredContainer,
  options: StopOptions & { readonly cause: EndCause },
): Promise<void> {
  const settings = stopSettings(container.spec, options);
  recordEndCause(context, container.id, options.cause);
  const exited = context.waiters.add(container.id, "not-running");
  await endProcess(context, container, settings);
  await exited;
  const after = context.containers.withId(container.id);
  if (after) emitContainerEvent(context, after, "stop");
}

/** How a container is asked to end, and for how many seconds. @throws invalid-argument (signal) */
export function stopSettings(
  spec: ContainerSpec,
  options: StopOptions = {},
): { signal: number; timeout: number } {
  return {
    signal: signalNumber(options.signal || spec.stopSignal || "TERM"),
    timeout: options.timeoutSeconds ?? spec.stopTimeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS,
  };
}

/**
 * Whether a signal means that the user wants the container to end, by docker's rules: without a stop signal of its own every
 * signal does, else that one and SIGKILL.
 */
function isStopSignal({ spec }: StoredContainer, number: number): boolean {
  return spec.stopSignal === "" || number === SIGKILL || number === signalNumber(spec.stopSignal);
}

/** Before the process is told, so that no engine takes the end for an accident. */
export function recordEndCause(context: EngineContext, id: string, endCause: EndCause): void {
  const container = context.containers.withId(id);
  if (!container || !isRunning(container) || container.state.endCause === endCause) return;
  context.containers.update(id, { state: { endCause } });
  faultPoint("stop:recorded");
}

/** Asks the process to end, and kills the whole container when the time is over. Resolves when it has ended or was killed. */
export async function endProcess(
  context: EngineContext,
  container: StoredContainer,
  how: { signal: number; timeout: number },
): Promise<void> {
  const process = runningProcess(context, container);
  // Who ends at this moment needs no signal: what follows sees its end.
  const { signal: number } = how;
  await signalProcess(context, container, { process, number }).catch((error: unknown) => {
    if (!isTiffinError(error, "conflict")) throw error;
  });
  emitContainerEvent(context, container, "kill", { signal: String(how.signal) });
  await resumeIfPaused(context, container.id);
  faultPoint("stop:signalled");
  let timer: ReturnType<typeof setTimeout> | undefined;
  const timedOut = new Promise<boolean>((resolve) => {
    if (how.timeout >= 0) timer = setTimeout(() => resolve(true), how.timeout * 1000);
  });
  const killNow = await Promise.race([process.ended.then(() => false), timedOut]);
  clearTimeout(timer);
  if (!killNow) return;
  context.cgroups.kill(container.id);
  await process.signal(SIGKILL).catch(() => undefined);
  faultPoint("stop:killed");
  emitContainerEvent(context, container, "kill", { signal: String(SIGKILL) });
}
