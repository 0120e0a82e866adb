import { isTiffinError } from "../base/error.ts";
import { diskUsage } from "../layers/writable-layer.ts";
import type { Volume } from "../volumes/index.ts";
import type { EngineContext } from "./context.ts";
import { removeVolume } from "./remove-volume.ts";
import { volumeUsers } from "./volume-users.ts";
import type { Pruned } from "./volume-verbs.ts";

/**
 * Removes the volumes wanted that no container has. Those with options are left, as docker does: what they hold is
 * elsewhere. `dryRun` only says what would go.
 */
export async function pruneVolumes(
  context: EngineContext,
  isWanted: (volume: Volume) => boolean,
  options: { dryRun: boolean },
): Promise<Pruned> {
  const removed: string[] = [];
  let reclaimedBytes = 0;
  for (const volume of context.volumes.all()) {
    const { name } = volume;
    const isUnused = volume.maker === "" && volumeUsers(context, name).length === 0;
    if (!isUnused || !isPlain(volume) || !isWanted(volume)) continue;
    const sizeBytes = await volumeSize(context, name);
    if (!options.dryRun && !(await removeUnlessUsed(context, name))) continue;
    removed.push(name);
    reclaimedBytes += Math.max(sizeBytes, 0);
  }
  if (!options.dryRun) {
    context.events.emit({
      type: "volume",
      action: "prune",
      actorId: "",
      attributes: { reclaimed: String(reclaimedBytes) },
    });
  }
  return { removed, reclaimedBytes };
}

/** False: it found a user, went, or cannot be removed now. */
async function removeUnlessUsed(context: EngineContext, name: string): Promise<boolean> {
  try {
    await removeVolume(context, name, { force: false });
    return true;
  } catch (error) {
    if (isTiffinError(error, "conflict", "not-found")) return false;
    throw error;
  }
}

function isPlain({ options }: Volume): boolean {
  return Object.keys(options).length === 0;
}

/** Bytes in a volume's files; -1 when its directory is missing. */
export async function volumeSize(context: EngineContext, name: string): Promise<number> {
  try {
    return (await diskUsage(context.volumes.dataPath(name))).sizeBytes;
  } catch (error) {
    if (isTiffinError(error, "not-found")) return -1;
    throw error;
  }
}
