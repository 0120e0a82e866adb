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
  const layers = containerLayers(context, container);
  const stack = existsSync(upper) ? [...layers, upper] : layers;
  const read = (path: string): string => Buffer.from(readStackFile(stack, path) ?? []).toString();
  return resolveUser(user, groupAdd, { passwd: read("/etc/passwd"), group: read("/etc/group") });
}
