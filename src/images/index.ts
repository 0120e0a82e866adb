/**
 * Images: what a container starts from. An image is a root file system as a stack of layers, and a configuration that
 * says how to start it; nothing more, no kernel. Everything is named by its hash: the image by that of its
 * configuration, which names its layers by theirs (diff IDs). So what is here once is shared, and a name is only a
 * pointer that may move.
 *
 *     const images = openImageStore({ root, database, layers: new LayerStore(root) });
 *     await images.load(createReadStream("debian.tar"));   // or importRootfs(), or install() from a registry
 *     images.layerDirectories(images.image("debian:12").id)
 *
 * Sources: image-spec v1.1.1; docker's image specification v1.2 (`docker save`).
 */
export { BUILTIN_IMAGE, ensureBuiltinImage, isBuiltinImage } from "./builtin.ts";
export { openContentStore } from "./content-store.ts";
export type { ContentStore } from "./content-store.ts";
export type { HistoryEntry } from "./image-history.ts";
export type { ImageLayer, ImageSource } from "./image-source.ts";
export type { Image, ImageConfig, ImageStore, Progress, RemovedImage } from "./image-store.ts";
export { openImageStore } from "./open-image-store.ts";
