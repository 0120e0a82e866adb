import { existsSync } from "node:fs";
import { join } from "node:path";
import { visibleLayers } from "../layers/layer-store.ts";
import { readStackFile } from "../layers/stack-file.ts";
import { containerDirectories } from "./container-directories.ts";
import type { StoredContainer } from "./container-table.ts";
import { type ContainerUser, resolveUser } from "./container-user.ts";
import type { EngineContext } from "./context.ts";

/** The image's layers that a container's root is mounted from, the lowest first. */
export function containerLayers(context: EngineContext, { imageId }: StoredContainer): string[] {
  return visibleLayers(context.images.layerDirectories(imageId));
}

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
const cache = new Map<string, UserFiles>();
const CACHED_IMAGES = 256;

function imageUserFiles(context: EngineContext, container: StoredContainer): UserFiles {
  const known = cache.get(container.imageId);
  if (known) return known;
  const files = readUserFiles(containerLayers(context, container));
  if (cache.size >= CACHED_IMAGES) cache.clear();
  cache.set(container.imageId, files);
  return files;
}

function readUserFiles(stack: readonly string[]): UserFiles {
  const read = (path: string): string => Buffer.from(readStackFile(stack, path) ?? []).toString();
  return { passwd: read("/etc/passwd"), group: read("/etc/group") };
}
