import { TiffinError } from "../base/error.ts";
import type { Change } from "../layers/changes.ts";
import { runTreeTask } from "../layers/tree-thread.ts";
import { checkStillThere, holdLayer, ownLayer } from "./container-tree.ts";
import type { StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";

/** What a container has changed in its root, in pieces, in the order of the paths. @throws not-found */
export async function* containerChanges(
  context: EngineContext,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<readonly Change[], void> {
  const container = context.containers.find(name);
  const release = await holdLayer(context, container.id);
  try {
    const layer = ownLayer(context, container);
    for await (const result of runTreeTask({ kind: "changes", layer }, { signal })) {
      if (result.kind === "changes") yield result.changes;
    }
    checkStillThere(context, container);
  } finally {
    release();
  }
}

/** The root of a container as a tar archive, without volumes and other mounts. @throws not-found; conflict */
export async function* exportContainer(
  context: EngineContext,
  name: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const container = readable(context, name, "export");
  const release = await holdLayer(context, container.id);
  try {
    const layer = ownLayer(context, container);
    for await (const result of runTreeTask({ kind: "export", layer }, { signal })) {
      if (result.kind === "chunk") yield result.data;
    }
    checkStillThere(context, container);
  } finally {
    release();
  }
  emitContainerEvent(context, container, "export");
}

/** @throws conflict in docker's words */
export function readable(context: EngineContext, name: string, verb: string): StoredContainer {
  const container = context.containers.find(name);
  const { phase, state, id } = container;
  const problem =
    phase === "removing" ? "being removed" : state.status === "dead" ? "Dead" : undefined;
  if (problem === undefined) return container;
  throw new TiffinError("conflict", `You cannot ${verb} container ${id} which is ${problem}`);
}
