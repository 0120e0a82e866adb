import { isTiffinError } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import { faultPoint } from "../base/fault-point.ts";
import { oomKills } from "../cgroups/memory.ts";
import type { ExitRecord } from "../launch/supervisor-connection.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { releaseHostResources } from "./release-host-resources.ts";
import { deleteContainer } from "./remove-container.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import { timestamp, timestampOf } from "./timestamp.ts";

/** A container whose supervisor vanished with its status: as if SIGKILL had ended it, which it has. */
const LOST_EXIT_CODE = 137;
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
): Promise<void> {
  context.processes.delete(id);
  const before = context.containers.withId(id);
  if (!before) return;
  const exitCode = record?.exitCode ?? LOST_EXIT_CODE;
  const oomKilled = record !== undefined && oomKills(record.memoryEvents) > 0;
  const { autoRemove } = before.spec;
  const container = context.containers.update(id, {
    phase: autoRemove ? "removing" : "settled",
    state: {
      status: "exited",
      pid: 0,
      exitCode,
      oomKilled,
      finishedAt: record ? timestampOf(record.endedNano) : timestamp(),
      error: record ? "" : "The supervisor was lost, and the exit status with it",
      lostLogBytes: record?.lostLogBytes ?? 0,
    },
  });
  faultPoint("exit:recorded");
  if (oomKilled) emitContainerEvent(context, container, "oom");
  emitContainerEvent(context, container, "die", {
    exitCode: String(exitCode),
    execDuration: duration(container),
    ...(record !== undefined && record.lostLogBytes > 0
      ? { lostLogBytes: String(record.lostLogBytes) }
      : {}),
  });
  context.waiters.notify(id, "exit", { exitCode });
  await releaseHostResources(context, id);
  faultPoint("exit:released");
  if (autoRemove) await deleteContainer(context, container);
}

function duration(container: StoredContainer): string {
  const { startedAt, finishedAt } = container.state;
  return String(Math.max(0, Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 1000)));
}
