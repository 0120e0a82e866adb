import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { faultPoint } from "../base/fault-point.ts";
import { TiffinError } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import { allocateRange } from "../namespaces/id-range.ts";
import { makeWritableLayer } from "../layers/writable-layer.ts";
import { containerDirectories } from "./container-directories.ts";
import { checkName, generateName } from "./container-name.ts";
import { containerLayers } from "./container-root.ts";
import { INITIAL_STATE, type StoredContainer } from "./container-table.ts";
import { type EngineContext, emitContainerEvent } from "./context.ts";
import { discardDirectory } from "./discard-directory.ts";
import { findImage } from "./find-image.ts";
import { withJoinedIds } from "./joined-containers.ts";
import { mergeImageConfig } from "./merge-image-config.ts";
import { writeNameFiles } from "./networks/name-files.ts";
import { planMountPoints } from "./plan-mount-points.ts";
import { keepVolumes, prepareVolumes, undoVolumes } from "./prepare-volumes.ts";
import type { Platform } from "../images/manifest.ts";
import { canBeReady } from "./ready-containers.ts";
import { namespacePlan, validateSpec } from "./validate-spec.ts";
import { timestamp } from "./timestamp.ts";
import type { ContainerSpec } from "./types.ts";

/**
 * Makes a container: its record, its writable layer, its files. Nothing of it is there when this fails, also when the
 * engine is killed meanwhile (recovery removes a directory without a record).
 * @throws already-exists (name), not-found (image), invalid-argument
 */
export async function createContainer(
  context: EngineContext,
  request: { name: string; spec: ContainerSpec; platform?: Platform },
): Promise<{ id: string; warnings: string[] }> {
  if (request.name !== "") checkName(request.name);
  const image = await findImage(context, request.spec.image, request.platform);
  const merged = mergeImageConfig(request.spec, image.config);
  const mountPoints = planMountPoints(merged, (name) => context.containers.find(name));
  const checked = validateSpec(context, { ...merged, mountPoints });
  const { warnings, resources, ownIds, sharedIdBase } = checked;
  const spec = withJoinedIds(context, { ...merged, mountPoints, resources });
  // Asked again under the lock; a name that is taken is no reason to fill volumes.
  if (request.name !== "") freeName(context, request.name);
  const ready = canBeReady(spec, namespacePlan(context, spec))
    ? context.ready.claim(spec)
    : undefined;
  const container = newContainer(
    context,
    { ...request, spec },
    { imageId: image.id, id: ready?.id },
  );
  const { id } = container;
  try {
    await prepareVolumes(context, { id, spec }, containerLayers(context, container));
    await recordContainer(context, container, {
      ownIds,
      knownIdBase: sharedIdBase ?? ready?.idBase,
    });
  } catch (error) {
    await undoVolumes(context, id);
    await context.ready.drop(id);
    throw error;
  }
  return { id, warnings };
}

/** Under the lock of all that choose names and ranges of ids. `container` has the name that was asked for, or "". */
async function recordContainer(
  context: EngineContext,
  container: StoredContainer,
  ids: { ownIds: boolean; knownIdBase: number | undefined },
): Promise<void> {
  await context.lock.hold("create", () => {
    const { id, spec } = container;
    const name = freeName(context, container.name);
    const idBase = ids.knownIdBase ?? (ids.ownIds ? freeRange(context) : 0);
    const complete: StoredContainer = {
      ...container,
      name,
      idBase,
      spec: { ...spec, hostname: spec.hostname || defaultHostname(context, spec, id) },
    };
    try {
      makeDirectories(context, complete);
      faultPoint("create:directories");
      context.containers.insert(complete);
    } catch (error) {
      discardDirectory(context.places, containerDirectories(context.places, id).state);
      throw explainExhaustion(error, `create container "${name}"`);
    }
    keepVolumes(context, id);
    faultPoint("create:recorded");
    emitContainerEvent(context, complete, "create");
  });
}

function freeRange({ containers, ready, id }: EngineContext): number {
  return allocateRange(
    new Set([...containers.all().map(({ idBase }) => idBase), ...ready.idBases]),
    id,
  );
}

export function newContainer(
  context: EngineContext,
  request: { name: string; spec: ContainerSpec },
  from: { readonly imageId: string; readonly id?: string | undefined },
): StoredContainer {
  const { imageId, id = randomBytes(32).toString("hex") } = from;
  return {
    id,
    name: request.name,
    createdAt: timestamp(),
    imageId,
    spec: request.spec,
    state: INITIAL_STATE,
    health: null,
    idBase: 0,
    logPath: join(containerDirectories(context.places, id).logs, "log"),
    phase: "settled",
  };
}

function freeName(context: EngineContext, asked: string): string {
  if (asked === "") return generateName((name) => context.containers.withName(name) !== undefined);
  checkFree(context, asked);
  return asked;
}

/** @throws already-exists with docker's words */
export function checkFree(context: EngineContext, asked: string): void {
  const holder = context.containers.withName(asked);
  if (!holder) return;
  throw new TiffinError(
    "already-exists",
    `Conflict. The container name "/${asked}" is already in use by container "${holder.id}". You have to remove (or rename) that container to be able to reuse that name.`,
    { hint: `Remove it (tiffin rm ${asked}), or choose another name` },
  );
}

/** The ID's start, as docker; a container that shares a UTS or network namespace takes that one's name. */
function defaultHostname(context: EngineContext, spec: ContainerSpec, id: string): string {
  if (spec.utsMode === "host" || spec.networkMode === "host") return context.host.hostname;
  if (spec.networkMode.startsWith("container:")) {
    return context.containers.find(spec.networkMode.slice("container:".length)).spec.hostname;
  }
  return id.slice(0, 12);
}

function makeDirectories(context: EngineContext, container: StoredContainer): void {
  const directories = containerDirectories(context.places, container.id);
  mkdirSync(directories.state, { recursive: true, mode: 0o710 });
  mkdirSync(directories.logs, { mode: 0o700 });
  mkdirSync(directories.files, { mode: 0o755 });
  makeWritableLayer(directories.writable, containerLayers(context, container).at(-1));
  writeNameFiles(context, container);
}
