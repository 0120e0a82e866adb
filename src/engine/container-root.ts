import { existsSync } from "node:fs";
import { join } from "node:path";
import { visibleLayers } from "../layers/layer-store.ts";
import { readStackFile } from "../layers/stack-file.ts";
import { containerDirectories } from "./container-directories.ts";
import type { StoredContainer } from "./container-table.ts";
import { type ContainerUser, resolveUser } from "./container-user.ts";
import type { EngineContext } from "./context.ts";

/**
 * The image's layers that a container's root is mounted from, the lowest first. Layers never change, and neither do an image's:
 * what was found once holds.
 */
export function containerLayers(context: EngineContext, { imageId }: StoredContainer): string[] {
  const key = `${context.places.root} ${imageId}`;
  const known = layerCache.get(key);
  if (known) return known;
  const layers = visibleLayers(context.images.layerDirectories(imageId));
  if (layerCache.size >= CACHED_IMAGES) layerCache.clear();
  layerCache.set(key, layers);
  return layers;
}

/** By the engine's root and the image's ID, which names the content. */
const layerCache = new Map<string, string[]>();
const CACHED_IMAGES = 256;

/** A user as the container's own passwd and group files have it, mounted or not. @throws invalid-argument */
export function containerUser(
  context: EngineContext,
  container: StoredContainer,
  user: string,
  groupAdd: readonly string[],
): ContainerUser {
  const upper = join(containerDirectories(context.places, container.id).writable, "upper");
  // Until the container changes something in /etc, its users are the image's.
  const files = existsSync(join(upper, "etc"))
    ? readUserFiles([...containerLayers(context, container), upper])
    : imageUserFiles(context, container);
  return resolveUser(user, groupAdd, files);
}

interface UserFiles {
  readonly passwd: string;
  readonly group: string;
}

/** By image ID, which names the content: entries never become wrong. */
const userCache = new Map<string, UserFiles>();

function imageUserFiles(context: EngineContext, container: StoredContainer): UserFiles {
  const known = userCache.get(container.imageId);
  if (known) return known;
  const files = readUserFiles(containerLayers(context, container));
  if (userCache.size >= CACHED_IMAGES) userCache.clear();
  userCache.set(container.imageId, files);
  return files;
}

function readUserFiles(stack: readonly string[]): UserFiles {
  const read = (path: string): string => Buffer.from(readStackFile(stack, path) ?? []).toString();
  return { passwd: read("/etc/passwd"), group: read("/etc/group") };
}
