import { lookup } from "node:dns/promises";
import { errnoName } from "../base/errno.ts";
import { messageOf, TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { isMountPoint, mountRaw, unmountRaw } from "../kernel/mount.ts";
import { isVolatileType, planVolumeMount, type Volume } from "../volumes/index.ts";
import { containerLayers } from "./container-root.ts";
import { NEVER, type StoredContainer } from "./container-table.ts";
import type { EngineContext } from "./context.ts";
import { fillVolume } from "./fill-volume.ts";
import { withImagePath } from "./image-directory.ts";
import type { MountPoint } from "./types.ts";
import { emitVolumeEvent, holdVolume, volumeNames, volumePoints } from "./volume-users.ts";

/**
 * Before a container starts: volumes with options are mounted in the host's tree, unless they are already, and count as used
 * until {@link releaseVolumes}. The container's own mounts are clones of that.
 * @throws the mount's failure, in words
 */
export async function mountVolumes(
  context: EngineContext,
  container: StoredContainer,
): Promise<void> {
  const { id, spec } = container;
  const points = volumePoints(spec);
  context.volumeUse.begin(id, volumeNames(spec));
  for (const point of points) {
    // Also without options: somebody may be filling it, into a directory that takes this one's place.
    await holdVolume(context, point.source, () => mountVolume(context, container, point));
  }
  for (const { source, target, readOnly, propagation } of points) {
    emitVolumeEvent(context, source, "mount", {
      container: id,
      destination: target,
      "read/write": String(!readOnly),
      propagation,
    });
  }
}

async function mountVolume(
  context: EngineContext,
  container: StoredContainer,
  point: MountPoint,
): Promise<void> {
  const volume = context.volumes.find(point.source);
  if (!hasOptions(volume)) return;
  const data = context.volumes.dataPath(volume.name);
  if (!isMountPoint(data)) {
    await mountOptions(volume, data);
    faultPoint("volume:mounted");
  }
  await fillMounted(context, container, { volume, point });
}

/** An empty file system is filled when the container starts for the first time; one in memory is new each time. */
async function fillMounted(
  context: EngineContext,
  container: StoredContainer,
  { volume, point }: { volume: Volume; point: MountPoint },
): Promise<void> {
  const isFirst = container.state.startedAt === NEVER || isVolatileType(volume.options);
  const mayCopy = point.asked !== "volumes-from" && !point.options.includes("nocopy");
  if (!isFirst || !mayCopy || !context.volumes.isEmpty(volume.name)) return;
  await withImagePath(containerLayers(context, container), point.target, async (found) => {
    if (found.kind !== "directory") return;
    await fillVolume(context, volume.name, { directory: found.directory, lasting: false });
  });
}

async function mountOptions(volume: Volume, target: string): Promise<void> {
  const calls = await planVolumeMount(volume.options, target, (host) => resolveHost(volume, host));
  let done = 0;
  for (const call of calls) {
    const result = await mountRaw(call);
    if (result < 0) {
      if (done > 0) await unmountRaw(target, volume.options["type"] ?? "");
      throw mountError(volume, errnoName(result));
    }
    done += 1;
  }
}

async function resolveHost({ name }: Volume, host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (error) {
    throw new TiffinError(
      "unavailable",
      `Cannot mount volume "${name}": error resolving passed in network volume address: ${messageOf(error)}`,
      { cause: error, hint: "Name the server by its address: --opt o=addr=192.0.2.7" },
    );
  }
}

const HINTS: Readonly<Partial<Record<string, string>>> = {
  ENODEV: "The kernel does not know this type of file system: cat /proc/filesystems",
  ENOENT: "The device, or the directory to bind, does not exist on the host",
  EINVAL: "The file system refuses an option or the device; the kernel's log (dmesg) may say which",
  ENOTBLK: "The device must be a block device",
};

function mountError({ name, options }: Volume, errno: string): TiffinError {
  const { type = "", device = "" } = options;
  const words = (options["o"] ?? "").replaceAll(/\b(password|pass)=[^,]*/g, "$1=********");
  const hint = HINTS[errno];
  return new TiffinError(
    errno === "EPERM" || errno === "EACCES" ? "permission-denied" : "invalid-argument",
    `Cannot mount volume "${name}": failed to mount local volume: mount ${device}, type: ${type}, data: ${words}: ${errno}`,
    hint === undefined ? {} : { hint },
  );
}

/**
 * A container does not run any more: what no other one uses is unmounted. Idempotent. What cannot be unmounted is told of, and
 * the next use or system check finds it.
 */
export async function releaseVolumes(context: EngineContext, id: string): Promise<void> {
  for (const name of context.volumeUse.end(id)) {
    emitVolumeEvent(context, name, "unmount", { container: id });
    await unmountUnused(context, name);
  }
}

/** Unmounts a volume that no container uses. True when it was mounted. */
export async function unmountUnused(context: EngineContext, name: string): Promise<boolean> {
  const volume = context.volumes.withName(name);
  if (volume === undefined || !hasOptions(volume)) return false;
  return holdVolume(context, name, async () => {
    const data = context.volumes.dataPath(name);
    if (context.volumeUse.isUsed(name) || !isMountPoint(data)) return false;
    const result = await unmountRaw(data, volume.options["type"] ?? "");
    if (result < 0) console.error(`tiffin: cannot unmount ${data}: ${errnoName(result)}`);
    return result >= 0;
  });
}

function hasOptions({ options }: Volume): boolean {
  return Object.keys(options).length > 0;
}
