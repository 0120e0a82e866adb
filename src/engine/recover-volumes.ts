import { existsSync } from "node:fs";
import type { EngineContext } from "./context.ts";
import { discardStray } from "./create-volume.ts";
import { discardDirectory } from "./discard-directory.ts";
import { unmountUnused } from "./mount-volumes.ts";
import { removeBoundVolumes } from "./remove-volume.ts";
import { isRunning } from "./stop-container.ts";
import { volumeNames } from "./volume-users.ts";

/** Before containers are recovered: those that are on record as running use their volumes until something else is known. */
export function countVolumeUse({ containers, volumeUse }: EngineContext): void {
  for (const container of containers.all()) {
    if (isRunning(container)) volumeUse.begin(container.id, volumeNames(container.spec));
  }
}

/**
 * After containers are recovered: volumes whose container did not come to be, or went, are removed; half-filled ones are
 * empty again; what no container uses is unmounted. Directories with data in them and no record are left (system check
 * tells of them).
 */
export async function recoverVolumes(context: EngineContext): Promise<void> {
  const { volumes, containers, places } = context;
  for (const { maker } of volumes.all().filter((volume) => volume.maker !== "")) {
    if (containers.withId(maker)) volumes.setMaker(volumes.madeBy(maker), "");
    else await removeBoundVolumes(context, maker);
  }
  for (const name of volumes.strays()) discardStray(context, name);
  for (const { name } of volumes.all()) {
    const filling = volumes.fillingPath(name);
    if (existsSync(filling)) discardDirectory(places, filling);
    await unmountUnused(context, name);
  }
}
