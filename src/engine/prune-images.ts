import { isTiffinError } from "../base/error.ts";
import type { Image, RemovedImage } from "../images/image-store.ts";
import { freedBytes, totalBytes } from "../images/layer-use.ts";
import type { EngineContext } from "./context.ts";
import { imageUsers } from "./image-users.ts";
import { type Pruned, tellPruned } from "./prune-containers.ts";

export interface PrunedImages extends Pruned {
  /** Names and IDs, as removing images tells them. */
  readonly removed: readonly RemovedImage[];
}

export interface ImagePruning {
  readonly isWanted: (image: Image) => boolean;
  /** Only images without a tag. */
  readonly danglingOnly: boolean;
  readonly dryRun: boolean;
  /** IDs of containers that are taken for removed: what would go if they were pruned first. With `dryRun` alone. */
  readonly without: ReadonlySet<string>;
}

/**
 * Removes the images that no container uses, of those that `isWanted`, and what removed images have left; with `dryRun` only
 * tells which these are.
 */
export function pruneImages(context: EngineContext, options: ImagePruning): Promise<PrunedImages> {
  return context.lock.hold("prune", async () => {
    const { images } = context;
    const before = images.layerUse();
    const unused = images
      .images()
      .filter(
        (image) =>
          (!options.danglingOnly || image.repoTags.length === 0) &&
          imageUsers(context, image.id).every(({ id }) => options.without.has(id)) &&
          options.isWanted(image),
      );
    const items = unused.map((image) => ({
      id: image.id,
      name: image.repoTags[0] ?? "<none>",
      sizeBytes: freedBytes(before, new Set([image.id])),
    }));
    if (options.dryRun) {
      const goes = new Set(items.map(({ id }) => id));
      const partials = images.content.partials();
      const partialItems = partials.map(({ digest, sizeBytes }) => ({
        id: digest,
        name: "unfinished download",
        sizeBytes,
      }));
      const partialBytes = partialItems.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
      return {
        items: [...items, ...partialItems],
        removed: [],
        freedBytes: freedBytes(before, goes) + partialBytes,
      };
    }
    const removed: RemovedImage[] = [];
    for (const image of unused) removed.push(...(await removeWholly(context, image)));
    const left = new Set(images.layerUse().map(({ diffId }) => diffId));
    const layersFreed = totalBytes(before.filter(({ diffId }) => !left.has(diffId)));
    // Images that were removed by force, and whose last container is gone since.
    const garbage = await images.collectGarbage({
      isUsed: (id) => imageUsers(context, id).length > 0,
      partials: true,
    });
    const all = layersFreed + garbage.freedBytes;
    tellPruned(context, "image", all);
    return { items, removed, freedBytes: all };
  });
}

/** Takes off one name after the other: the image goes with the last. A container may have been made of it meanwhile. */
async function removeWholly(context: EngineContext, image: Image): Promise<RemovedImage[]> {
  const names = [...image.repoTags, ...image.repoDigests];
  const removed: RemovedImage[] = [];
  for (const reference of names.length === 0 ? [image.id] : names) {
    try {
      const usedBy = (id: string) => imageUsers(context, id);
      removed.push(...(await context.images.remove(reference, { force: false, usedBy })));
    } catch (error) {
      // The last tag has taken its digest with it.
      if (!isTiffinError(error, "conflict", "not-found")) throw error;
    }
  }
  return removed;
}
