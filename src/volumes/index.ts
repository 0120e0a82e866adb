/**
 * Volumes: directories that outlive containers. A named one is made once and shared by all that name it; an anonymous one
 * belongs to the container that it was made for. In a container a volume is a bind of its directory, seen through the
 * container's map of ids, so that files keep plain ids (0, 999) on disk. The first use fills an empty one with what the
 * image has at that place; options make it a mount of something else, for as long as a container uses it.
 *
 *     const volumes = new VolumeStore("/var/lib/tiffin", database);
 *     volumes.make({ name: "data", createdAt, labels: {}, options: {}, maker: "" });
 *     volumes.dataPath("data"); // /var/lib/tiffin/volumes/data/_data
 *
 * Sources: https://docs.docker.com/engine/storage/volumes/; mount(2), mount_setattr(2).
 */
export { copyTree } from "./copy-tree.ts";
export type { CopiedTree, SourceDirectory, SourceEntry } from "./copy-tree.ts";
export { isVolatileType, planVolumeMount, validateDriverOptions } from "./local-driver.ts";
export { checkVolumeName } from "./volume-name.ts";
export { ANONYMOUS_LABEL, LOCAL_DRIVER } from "./volume.ts";
export type { Volume } from "./volume.ts";
export { VolumeStore } from "./volume-store.ts";
