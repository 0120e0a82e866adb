import { isTiffinError } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import { faultPoint } from "../base/fault-point.ts";
import { oomKills } from "../cgroups/memory.ts";
import { monotonicMs, realtimeNano } from "../kernel/clock.ts";
import type { ExitRecord } from "../launch/supervisor-connection.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { afterRun, type NextStep } from "./restart-policy.ts";
import { releaseHostResources } from "./release-host-resources.ts";
import { deleteContainer } from "./remove-container.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import { timestamp, timestampOf } from "./timestamp.ts";
import type { ContainerState, EndCause } from "./types.ts";

/** What the state says of a run that the engine itself ended. */
const CAUSE_WORDS: Readonly<Record<EndCause, string>> = {
  "": "",
  user: "",
  "user-restart": "",
  "unhealthy-restart": "It was unhealthy, and restarted",
  "unhealthy-stop": "It was unhealthy, and stopped",
  "unhealthy-kill": "It was unhealthy, and killed",
  timeout: "It ran for longer than its --timeout",
};

/** What is recorded of an end that left no record. */
export interface Loss {
  readonly exitCode: number;
  readonly error: string;
  readonly finishedAt: string;
}

const SPACE_INTERVAL_MS = 1000;

/** Settles a container when its process ends. */
export function watchContainer(
  context: EngineContext,
  id: string,
  process: SupervisedProcess,
): void {
  process.ended
    .then((record) => context.lock.hold(id, () => settleWhenPossible(context, id, record)))
    .catch((error: unknown) =>
      console.error(`tiffin: settling the end of container ${id}:`, error),
    );
}

/** Without space for the record it waits for some: until then the supervisor's own record tells a next engine. */
async function settleWhenPossible(
  context: EngineContext,
  id: string,
  record: ExitRecord | undefined,
): Promise<void> {
  for (let isTold = false; ; isTold = true) {
    try {
      return await settleExit(context, id, record);
    } catch (error) {
      if (!isTiffinError(explainExhaustion(error), "resource-exhausted")) throw error;
      if (!isTold) console.error(`tiffin: cannot record the end of container ${id}:`, error);
      await Bun.sleep(SPACE_INTERVAL_MS);
    }
  }
}

/**
 * Records the end of a container, tells it, and takes down what it left on the host. The status is out before the
 * cleaning, which a killed engine's successor does (recover.ts). The container's lock is held.
 */
export async function settleExit(
  context: EngineContext,
  id: string,
  record: ExitRecord | undefined,
  loss: Loss = lostSupervisor(),
): Promise<void> {
  context.processes.delete(id);
  context.deadlines.clear(id);
  const before = context.containers.withId(id);
  if (!before) return;
  const exitCode = record?.exitCode ?? loss.exitCode;
  const kills = record === undefined ? 0 : oomKills(record.memoryEvents);
  const oomKilled = kills > 0;
  const ranMs = runMs(before, record);
  const next = afterRun(before.spec.restartPolicy, before.state, {
    exitCode,
    ranMs,
    cause: before.state.endCause,
  });
  const isRemoved = before.spec.autoRemove && next.action === "stay";
  const container = context.containers.update(id, {
    phase: isRemoved ? "removing" : "settled",
    state: {
      ...nextState(next),
      pid: 0,
      exitCode,
      oomKilled,
      finishedAt: record ? timestampOf(record.endedNano) : loss.finishedAt,
      error: record ? CAUSE_WORDS[before.state.endCause] : loss.error,
      lostLogBytes: record?.lostLogBytes ?? 0,
    },
  });
  faultPoint("exit:recorded");
  context.health.stop(id);
  if (kills > context.oom.forget(id)) emitContainerEvent(context, container, "oom");
  emitContainerEvent(context, container, "die", {
    exitCode: String(exitCode),
    execDuration: String(Math.floor(ranMs / 1000)),
    ...(record !== undefined && record.lostLogBytes > 0
      ? { lostLogBytes: String(record.lostLogBytes) }
      : {}),
  });
  context.waiters.notify(id, "exit", { exitCode });
  await releaseHostResources(context, id);
  faultPoint("exit:released");
  if (isRemoved) await deleteContainer(context, container);
  else if (next.action === "restart" && before.state.endCause !== "user-restart") {
    // Whom a user restarts the user's verb starts (restart-container.ts).
    context.restarts.set(id, container.state.restartDueMs);
  }
}

/** A supervisor that vanished with its process' status: as if SIGKILL had ended it, which it has. */
function lostSupervisor(): Loss {
  return {
    exitCode: 137,
    error: "The supervisor was lost, and the exit status with it",
    finishedAt: timestamp(),
  };
}

/** What a decision of the restart policy makes of the state. */
export function nextState(next: NextStep): Partial<ContainerState> {
  if (next.action === "stay") return { status: "exited" };
  const { restartCount, backoffMs, delayMs } = next;
  return { status: "restarting", restartCount, backoffMs, restartDueMs: monotonicMs() + delayMs };
}

/**
 * How long it ran, by the monotonic clock, which nobody sets. The record has wall-clock time only: it says how long ago the
 * end was, for an engine that was not there to see it.
 */
function runMs({ state }: StoredContainer, record: ExitRecord | undefined): number {
  const sinceStart = Math.max(0, monotonicMs() - state.startedMonotonicMs);
  const sinceEnd = record ? Number((realtimeNano() - record.endedNano) / 1_000_000n) : 0;
  return sinceStart - Math.min(Math.max(sinceEnd, 0), sinceStart);
}
