import { join } from "node:path";
import type { Database } from "../base/database.ts";
import type { Digest } from "../base/digest.ts";
import { faultPoint } from "../base/fault-point.ts";
import { familiarReference, type Reference } from "../base/reference.ts";
import { chainId } from "../layers/chain-id.ts";
import { decompress } from "../layers/decompress.ts";
import { type LayerStore, visibleLayers } from "../layers/layer-store.ts";
import { ArchiveSpool } from "./archive-spool.ts";
import { commitImage, type ImageCommit } from "./commit-image.ts";
import { type ContentStore, openContentStore } from "./content-store.ts";
import { checkImages, collectGarbage, type ImagePlaces, releaseContent } from "./garbage.ts";
import { parseImageConfig } from "./image-config.ts";
import { type HistoryEntry, imageHistory } from "./image-history.ts";
import { archiveImages } from "./image-archive.ts";
import type { ImageSource } from "./image-source.ts";
import type { Image, ImageConfig, ImageStore, Progress, RemovedImage } from "./image-store.ts";
import { type ImageRow, ImageTable, type Listing } from "./image-table.ts";
import { importRootfs, type ImportOptions, tagFor } from "./import-rootfs.ts";
import { installImages } from "./install-image.ts";
import type { LayerUse } from "./layer-use.ts";
import { type LayerReport, loadReport } from "./layer-report.ts";
import { keepStored } from "./keep-stored.ts";
import { type Platform, platformFits } from "./manifest.ts";
import { namesToSave, saveImages } from "./save-images.ts";
import { imageForPush, type StoredImage } from "./stored-layer.ts";
import { Pins } from "./pins.ts";
import { type ImageUser, planRemoval } from "./plan-removal.ts";
import {
  candidateImages,
  familiarNameOf,
  noSuchImage,
  noSuchPlatform,
  referenceOf,
  resolveImage,
} from "./resolve-image.ts";

/**
 * Opens the images below `root`: the index in the database (own tables), configurations and manifests in ROOT/blobs,
 * half-read archives in ROOT/tmp. One process at a time.
 *
 * @throws unavailable when a newer Tiffin wrote the index
 */
export function openImageStore(options: {
  root: string;
  database: Database;
  layers: LayerStore;
}): ImageStore {
  return new SqliteImageStore({
    table: new ImageTable(options.database),
    content: openContentStore(options.root),
    layers: options.layers,
    spools: join(options.root, "tmp"),
    pins: new Pins(),
  });
}

class SqliteImageStore implements ImageStore {
  private readonly places: ImagePlaces;
  /** Both never change for an id. */
  private readonly configs = new Map<string, ImageConfig>();
  private readonly directories = new Map<string, string[]>();

  constructor(places: ImagePlaces) {
    this.places = places;
  }

  image(reference: string, platform?: Platform): Image {
    if (platform === undefined) return this.imageOf(this.rowOf(reference));
    const { table } = this.places;
    const ids = candidateImages(table, reference);
    const id = ids.find((one) => platformFits(this.configOf(one), platform));
    if (id === undefined) {
      throw noSuchPlatform(
        reference,
        platform,
        ids.map((one) => this.configOf(one)),
      );
    }
    return this.imageOf(this.rowOf(id));
  }

  images(): Image[] {
    const { table } = this.places;
    const listings = table.listings();
    return table.rows().map((row) => this.imageOf(row, listings.get(row.id)));
  }

  layerDirectories(imageId: string): string[] {
    const known = this.directories.get(imageId);
    if (known !== undefined) return known;
    const { table, layers } = this.places;
    const { id } = this.rowOf(imageId);
    // Overlayfs refuses a directory twice. A layer that comes again higher up brings the same content and hides what is
    // between, so its lower place shows nothing.
    const topmost = [...new Set(table.layersOf(id).reverse())].reverse();
    const directories = visibleLayers(topmost.map((diffId) => layers.layer(diffId).directory));
    this.directories.set(id, directories);
    return directories;
  }

  async load(
    archive: AsyncIterable<Uint8Array>,
    report?: (progress: Progress) => void,
  ): Promise<string[]> {
    const spool = new ArchiveSpool(this.places.spools);
    try {
      await spool.read(decompress(archive));
      const sources = archiveImages(spool);
      const ids = await installImages(this.places, sources, report && loadReport(report));
      return sources.flatMap(({ references }, index) =>
        references.length > 0 ? references.map(familiarReference) : ids.slice(index, index + 1),
      );
    } finally {
      spool.remove();
    }
  }

  get content(): ContentStore {
    return this.places.content;
  }

  async install(source: ImageSource, report?: LayerReport): Promise<string> {
    const ids = await installImages(this.places, [source], report);
    return ids[0] ?? "";
  }

  async importRootfs(archive: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<string> {
    return await importRootfs(this.places, archive, options);
  }

  async commit(commit: ImageCommit): Promise<string> {
    const { id, manifestDigest } = this.rowOf(commit.parent);
    const parent = {
      config: this.configOf(id),
      manifestBytes: this.places.content.read(manifestDigest),
    };
    return await commitImage(this.places, parent, commit);
  }

  async forPush<Result>(
    reference: string,
    work: (image: StoredImage) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const { id } = this.rowOf(reference);
    return await keepStored(this.places, [id], async () =>
      work(await imageForPush(this.places, id, signal)),
    );
  }

  addDigest(imageId: string, reference: Reference): void {
    const { table } = this.places;
    table.transaction(() => {
      // It may have been removed while it was pushed.
      if (table.row(imageId) !== undefined) table.setName(reference, imageId);
    });
  }

  save(
    references: readonly string[],
    { signal, platform }: { signal?: AbortSignal; platform?: Platform } = {},
  ): AsyncGenerator<Uint8Array, void> {
    const chosen = new Map<Digest, Reference[]>();
    for (const reference of references) {
      const { id } = this.rowOf(this.image(reference, platform).id);
      chosen.set(id, [...(chosen.get(id) ?? []), ...namesToSave(this.places.table, reference)]);
    }
    return saveImages(this.places, chosen, signal);
  }

  tag(source: string, target: string): void {
    const reference = tagFor(target);
    const { id } = this.rowOf(source);
    const { table } = this.places;
    table.transaction(() => {
      table.setName(reference, id);
      table.setLastTagged(id, new Date().toISOString());
    });
    faultPoint("image:tagged");
  }

  layerUse(): LayerUse[] {
    return this.places.table.layerUse();
  }

  history(reference: string, platform?: Platform): HistoryEntry[] {
    const image = this.image(reference, platform);
    return imageHistory(image, this.layerSizes(image.id));
  }

  async remove(
    reference: string,
    options: { force: boolean; usedBy: (imageId: string) => readonly ImageUser[] },
  ): Promise<RemovedImage[]> {
    const { table } = this.places;
    const { id } = this.rowOf(reference);
    const users = options.usedBy(id);
    const references = [...table.tagsOf(id), ...table.digestsOf(id)].map(referenceOf);
    const { force } = options;
    const plan = planRemoval({ id, asked: reference, force, references, users });
    const removed: RemovedImage[] = plan.untag.map((name) => ({
      untagged: familiarReference(name),
    }));
    if (plan.deletes) removed.push({ deleted: id });
    const goes = plan.deletes && users.length === 0;
    const diffIds = table.layersOf(id);
    const digests = goes ? this.digestsOf(id) : [];
    table.transaction(() => {
      for (const name of plan.untag) table.deleteName(name, id);
      if (goes) table.delete(id);
      else if (plan.deletes) table.hide(id);
    });
    faultPoint("image:untagged");
    if (!goes) return removed;
    this.forget(id);
    const gone = new Set(await releaseContent(this.places, diffIds, digests));
    // Docker names layers by chain ID, the topmost first.
    for (let count = diffIds.length; count > 0; count -= 1) {
      const [lowest, ...rest] = diffIds.slice(0, count);
      const top = diffIds[count - 1];
      if (lowest !== undefined && top !== undefined && gone.has(top)) {
        removed.push({ deleted: chainId([lowest, ...rest]) });
      }
    }
    return removed;
  }

  async collectGarbage(
    options: { isUsed?: (imageId: string) => boolean; partials?: boolean } = {},
  ): Promise<{ removed: string[]; freedBytes: number }> {
    const { table } = this.places;
    const isUsed = options.isUsed ?? (() => true);
    const unused = table.hiddenIds().filter((id) => !isUsed(id));
    for (const id of unused) {
      table.transaction(() => table.delete(id));
      this.forget(id);
    }
    const { removed, freedBytes } = await collectGarbage(this.places, {
      partials: options.partials ?? false,
    });
    return { removed: [...unused.map((id) => `image ${id}`), ...removed], freedBytes };
  }

  check(): { missing: string[]; unowned: string[] } {
    return checkImages(this.places);
  }

  /** @throws not-found, invalid-argument */
  private rowOf(reference: string): ImageRow {
    const { table } = this.places;
    const row = table.row(resolveImage(table, reference));
    if (row === undefined) throw noSuchImage(reference);
    return row;
  }

  private imageOf({ id, manifestDigest, lastTaggedAt }: ImageRow, listing?: Listing): Image {
    const { tags, digests, sizeBytes } = listing ?? this.listingOf(id);
    return {
      id,
      config: this.configOf(id),
      repoTags: tags.map(familiarNameOf),
      repoDigests: digests.map(familiarNameOf),
      sizeBytes,
      lastTaggedAt,
      manifestDigest,
    };
  }

  private listingOf(id: string): Listing {
    const { table } = this.places;
    const sizeBytes = this.layerSizes(id).reduce((sum, size) => sum + size, 0);
    return { tags: table.tagsOf(id), digests: table.digestsOf(id), sizeBytes };
  }

  private configOf(id: Digest): ImageConfig {
    const known = this.configs.get(id);
    if (known !== undefined) return known;
    const config = parseImageConfig(this.places.content.read(id));
    this.configs.set(id, config);
    return config;
  }

  private layerSizes(id: string): number[] {
    const { table } = this.places;
    return table.layersOf(id).map((diffId) => table.layerSize(diffId) ?? 0);
  }

  private digestsOf(id: Digest): Digest[] {
    const row = this.places.table.row(id);
    return row === undefined ? [] : [id, row.manifestDigest];
  }

  private forget(id: string): void {
    this.configs.delete(id);
    this.directories.delete(id);
  }
}
