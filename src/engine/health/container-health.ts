import { type EngineContext, emitContainerEvent } from "../context.ts";
import type { StoredContainer } from "../container-table.ts";
import { endRun } from "../end-run.ts";
import type { EndCause, UnhealthyAction } from "../types.ts";
import { checkByCommand, timedOut } from "./check-command.ts";
import { httpTarget, tcpTarget } from "./check-target.ts";
import { healthTimes } from "./health-policy.ts";
import { type CheckOutcome, SocketChecks } from "./socket-checks.ts";

const END_CAUSES: Readonly<Record<Exclude<UnhealthyAction, "">, EndCause>> = {
  restart: "unhealthy-restart",
  stop: "unhealthy-stop",
  kill: "unhealthy-kill",
};

/** Connects the health monitors with the engine: how a check is done, and what follows a change. Returns what ends it. */
export function watchHealth(context: EngineContext): () => void {
  const sockets = new SocketChecks();
  context.health.wire({
    check: (container, timeoutMs) => checkOnce(context, sockets, container, timeoutMs),
    changed: (container, { status }) => {
      emitContainerEvent(context, container, `health_status: ${status}`);
    },
    failed: (container) => endUnhealthy(context, container),
  });
  context.events.observe(({ type, action, actorId }) => {
    if (type !== "container") return;
    if (action === "pause") context.health.pause(actorId);
    if (action === "unpause") context.health.unpause(actorId);
    if (action === "destroy") context.health.forget(actorId);
  });
  return () => sockets.close();
}

/** For a container that an earlier engine watched: it may have died between the last failure and what follows. */
export function resumeHealth(context: EngineContext, id: string): void {
  context.health.resume(id);
  const container = context.containers.withId(id);
  const check = container?.spec.healthcheck;
  if (!container?.health || !check) return;
  if (container.health.failingStreak >= healthTimes(check).retries)
    endUnhealthy(context, container);
}

/** What `--on-unhealthy` asks for. */
function endUnhealthy(context: EngineContext, { id, spec, name }: StoredContainer): void {
  if (spec.onUnhealthy === "") return;
  endRun(context, id, END_CAUSES[spec.onUnhealthy]).catch((error: unknown) =>
    console.error(`tiffin: cannot ${spec.onUnhealthy} the unhealthy container ${name}:`, error),
  );
}

async function checkOnce(
  context: EngineContext,
  sockets: SocketChecks,
  container: StoredContainer,
  timeoutMs: number,
): Promise<CheckOutcome> {
  const check = container.spec.healthcheck;
  const process = context.processes.get(container.id);
  if (!check || !process) return { exitCode: -1, output: "The container does not run" };
  const [kind, target = ""] = check.test;
  if (kind !== "HTTP" && kind !== "TCP") {
    return checkByCommand(context, container, check, timeoutMs);
  }
  const where = kind === "HTTP" ? httpTarget(target) : tcpTarget(target);
  const limit = { timeoutMs, timedOut: () => timedOut(timeoutMs) };
  return sockets.check(() => process.descriptor(), where, limit);
}
