import { isTiffinError } from "../base/error.ts";
import { diskUsage } from "../layers/writable-layer.ts";
import { containerDirectories } from "./container-directories.ts";
import type { EngineContext } from "./context.ts";
import { removeContainer } from "./remove-container.ts";
import { isRunning } from "./stop-container.ts";
import type { Container } from "./types.ts";

/** Something that is pruned, or would be. */
export interface PrunedItem {
  readonly id: string;
  readonly name: string;
  /** What it takes by itself. */
  readonly sizeBytes: number;
}

export interface Pruned {
  readonly items: readonly PrunedItem[];
  /** Less than the items together where they share something. */
  readonly freedBytes: number;
}

/** Removes the containers that do not run, of those that `isWanted`; with `dryRun` only tells which these are. */
export function pruneContainers(
  context: EngineContext,
  options: { isWanted: (container: Container) => boolean; dryRun: boolean },
): Promise<Pruned> {
  return context.lock.hold("prune", async () => {
    const items: PrunedItem[] = [];
    for (const container of context.containers.all()) {
      const goes = !isRunning(container) && container.phase !== "removing";
      if (!goes || !options.isWanted(container)) continue;
      const item = await prune(context, container, options.dryRun);
      if (item !== undefined) items.push(item);
    }
    const freedBytes = items.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (!options.dryRun) tellPruned(context, "container", freedBytes);
    return { items, freedBytes };
  });
}

/** undefined when it was started or removed meanwhile. */
async function prune(
  context: EngineContext,
  { id, name }: Container,
  dryRun: boolean,
): Promise<PrunedItem | undefined> {
  const { writable } = containerDirectories(context.places, id);
  try {
    const { sizeBytes } = await diskUsage(`${writable}/upper`);
    if (!dryRun) await removeContainer(context, id, { force: false, volumes: false });
    return { id, name, sizeBytes };
  } catch (error) {
    if (isTiffinError(error, "conflict", "not-found")) return undefined;
    throw error;
  }
}

/** docker's event. */
export function tellPruned(
  context: EngineContext,
  type: "container" | "image",
  freedBytes: number,
): void {
  const attributes = { reclaimed: String(freedBytes) };
  context.events.emit({ type, action: "prune", actorId: "", attributes });
}
