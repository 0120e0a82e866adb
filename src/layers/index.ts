/**
 * Layers: the third pillar. A container's root is a stack of directories seen as one: image layers, unpacked once and
 * shared by all, and a writable one on top. The kernel's overlayfs merges them at the moment of a look: what stands
 * higher hides what stands lower, and a write copies a file up first. So an image starts without copying anything.
 *
 *     const layer = await new LayerStore("/var/lib/tiffin").add("/tmp/layer.tar.gz");
 *     planOverlay({ lower: [layer.directory], ... })   // operations that mount it, for launch/
 *
 * An archive is hostile until it is unpacked: every path is resolved below a descriptor, and an error leaves nothing.
 * Sources: image-spec v1.1.1 layer.md; kernel Documentation/filesystems/overlayfs.rst; docs/guide.
 */
export { chainId } from "./chain-id.ts";
export { compressionOf, decompress } from "./decompress.ts";
export type { Compression } from "./decompress.ts";
export { LayerStore, visibleLayers } from "./layer-store.ts";
export type { AddOptions, Layer, RemovedLayer } from "./layer-store.ts";
export { removeTree } from "./remove-tree.ts";
export { readTar } from "./tar-reader.ts";
export type { TarEntry, TarMember } from "./tar-reader.ts";
export { TAR_END, tarArchive, tarHeader, tarPadding } from "./tar-writer.ts";
export type { TarEntryInput } from "./tar-writer.ts";
export { DEFAULT_UNPACK_LIMITS, unpackLayer } from "./unpack.ts";
export type { LayerSource, UnpackLimits, UnpackOptions } from "./unpack.ts";
export type { ExpectedDigests, UnpackedContent } from "./unpack-stream.ts";
export { MAXIMUM_LAYERS, planOverlay } from "./overlay-plan.ts";
export type { OverlayPlan } from "./overlay-plan.ts";
export { MAXIMUM_STACK_FILE_BYTES, readStackFile } from "./stack-file.ts";
export {
  diskUsage,
  makeWritableLayer,
  removeWritableLayer,
} from "./writable-layer.ts";
export type { DiskUsage } from "./writable-layer.ts";
