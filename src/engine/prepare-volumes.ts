import { faultPoint } from "../base/fault-point.ts";
import { TiffinError } from "../base/error.ts";
import { ANONYMOUS_LABEL, type Volume } from "../volumes/index.ts";
import { makeVolume } from "./create-volume.ts";
import type { EngineContext } from "./context.ts";
import { fillVolume } from "./fill-volume.ts";
import { withImagePath } from "./image-directory.ts";
import { removeBoundVolumes } from "./remove-volume.ts";
import type { ContainerSpec, MountPoint } from "./types.ts";
import { holdVolume, volumeNames, volumePoints } from "./volume-users.ts";

/**
 * Makes the volumes of a container that is being made, and fills the new ones from its image. They are bound to the
 * container until {@link keepVolumes}: when it does not come to be, they go (`undoVolumes`, or recovery).
 * @throws invalid-argument (name, options, a volume where the image has a file); not-found (volumes-from)
 */
export async function prepareVolumes(
  context: EngineContext,
  container: { readonly id: string; readonly spec: ContainerSpec },
  layers: readonly string[],
): Promise<void> {
  const { id, spec } = container;
  const points = volumePoints(spec);
  if (points.length === 0) return;
  context.volumeUse.reserve(id, volumeNames(spec));
  for (const point of points) {
    await holdVolume(context, point.source, () =>
      prepareVolume(context, container, { point, layers }),
    );
  }
  faultPoint("create:volumes");
}

async function prepareVolume(
  context: EngineContext,
  container: { readonly id: string; readonly spec: ContainerSpec },
  { point, layers }: { point: MountPoint; layers: readonly string[] },
): Promise<void> {
  const { source: name, target } = point;
  if (point.asked === "volumes-from") {
    context.volumes.find(name);
    return;
  }
  const volume = context.volumes.withName(name) ?? makeFor(context, container.id, point);
  await withImagePath(layers, target, async (found) => {
    if (found.kind === "file" && !point.volume?.subpath) throw fileThere(target);
    if (found.kind !== "directory" || !isFilledAtCreate(context, volume, point)) return;
    const lasting = !(point.anonymous && container.spec.autoRemove);
    await fillVolume(context, name, { directory: found.directory, lasting });
  });
}

function makeFor(context: EngineContext, maker: string, point: MountPoint): Volume {
  const labels = { ...point.volume?.labels };
  if (point.anonymous) labels[ANONYMOUS_LABEL] = "";
  return makeVolume(context, {
    name: point.source,
    labels,
    options: point.volume?.options ?? {},
    maker,
  });
}

/** What options mount is not there yet: it is filled when it is (mount-volumes.ts). */
function isFilledAtCreate(
  { volumes }: EngineContext,
  { name, options }: Volume,
  point: MountPoint,
): boolean {
  if (point.options.includes("nocopy") || Object.keys(options).length > 0) return false;
  return volumes.isEmpty(name);
}

function fileThere(target: string): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `cannot mount volume over existing file, file exists ${target}`,
  );
}

/** The container is on record: its volumes stand by themselves. */
export function keepVolumes(context: EngineContext, id: string): void {
  context.volumes.setMaker(context.volumes.madeBy(id), "");
  context.volumeUse.unreserve(id);
}

/** The container did not come to be: what was made for it goes. */
export async function undoVolumes(context: EngineContext, id: string): Promise<void> {
  context.volumeUse.unreserve(id);
  await removeBoundVolumes(context, id);
}
