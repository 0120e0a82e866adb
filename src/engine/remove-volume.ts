import { faultPoint } from "../base/fault-point.ts";
import { TiffinError } from "../base/error.ts";
import { mountPaths, unmountRaw } from "../kernel/mount.ts";
import { syscallError } from "../kernel/syscall.ts";
import type { EngineContext } from "./context.ts";
import type { StoredContainer } from "./container-table.ts";
import { discardDirectory } from "./discard-directory.ts";
import {
  emitVolumeEvent,
  holdVolume,
  refuseUsed,
  volumePoints,
  volumeUsers,
} from "./volume-users.ts";

/** As a volume's maker: it is being removed by itself. */
const REMOVAL = "removal";

/**
 * Removes a volume that no container has, and what is in it; what its options mount stays where it is.
 * @throws conflict when a container has it; not-found unless `force`
 */
export async function removeVolume(
  context: EngineContext,
  name: string,
  options: { force: boolean },
): Promise<void> {
  if (options.force && !context.volumes.withName(name)) return;
  context.volumes.find(name);
  await holdVolume(context, name, async () => {
    if (options.force && !context.volumes.withName(name)) return;
    context.volumes.find(name);
    refuseUsed(context, name);
    await deleteVolume(context, name);
  });
}

/** Removes a volume that nothing uses. A killed engine's successor goes on where this one was. The volume's lock is held. */
export async function deleteVolume(context: EngineContext, name: string): Promise<void> {
  await unmountAll(context, name);
  const { maker } = context.volumes.find(name);
  context.volumes.setMaker([name], REMOVAL);
  faultPoint("volume:removing");
  try {
    context.volumes.remove(name, (path) => discardDirectory(context.places, path));
  } catch (error) {
    // Nobody may find it gone at the next start who was told that it stays.
    context.volumes.setMaker([name], maker);
    throw error;
  }
  faultPoint("volume:removed");
  emitVolumeEvent(context, name, "destroy");
}

/** Of what is mounted in the directory the engine takes down its own; others' may hold what nobody wants to lose. */
async function unmountAll(context: EngineContext, name: string): Promise<void> {
  const { options } = context.volumes.find(name);
  const path = context.volumes.path(name);
  const data = context.volumes.dataPath(name);
  const mounted = mountPaths().filter((mount) => mount.startsWith(`${path}/`));
  const foreign = Object.keys(options).length === 0 ? mounted[0] : undefined;
  if (foreign !== undefined) {
    throw new TiffinError("conflict", `remove ${name}: something is mounted at ${foreign}`, {
      hint: `Unmount it first: umount ${foreign}`,
    });
  }
  for (const mount of mounted) {
    if (mount !== data) continue;
    const result = await unmountRaw(mount, options["type"] ?? "");
    if (result < 0) throw syscallError("umount2", result, `unmount volume "${name}"`);
  }
}

/**
 * Before a container's removal: its anonymous volumes will go with it (`rm -v`, `--rm`), or will not. On record, so that a
 * removal that is cut off ends as it was asked for.
 */
export function bindVolumes(
  context: EngineContext,
  container: StoredContainer,
  goWithIt: boolean,
): void {
  const { id, spec } = container;
  const names = volumePoints(spec)
    .filter(({ anonymous }) => anonymous)
    .map(({ source }) => source);
  if (goWithIt) context.volumes.setMaker(names, id);
  else context.volumes.setMaker(context.volumes.madeBy(id), "");
}

/** Removes the volumes that go with a container; those that others have as well stay, and stand by themselves from now on. */
export async function removeBoundVolumes(context: EngineContext, id: string): Promise<void> {
  for (const name of context.volumes.madeBy(id)) {
    await holdVolume(context, name, async () => {
      if (!context.volumes.withName(name)) return;
      const others = volumeUsers(context, name).filter((user) => user !== id);
      if (others.length === 0) await deleteVolume(context, name);
      else context.volumes.setMaker([name], "");
    });
  }
}
