import { rm } from "node:fs/promises";
import type { Digest, DiffId } from "../base/digest.ts";
import type { LayerStore } from "../layers/layer-store.ts";
import { spoolLeftovers } from "./archive-spool.ts";
import type { ContentStore } from "./content-store.ts";
import type { ImageTable } from "./image-table.ts";
import type { Pins } from "./pins.ts";

/** Where images are kept, and what is being worked on. */
export interface ImagePlaces {
  readonly table: ImageTable;
  readonly content: ContentStore;
  readonly layers: LayerStore;
  /** Directory of half-read archives. */
  readonly spools: string;
  /** Blobs and layers that an installation in progress needs. */
  readonly pins: Pins;
}

export interface Collected {
  readonly removed: string[];
  readonly freedBytes: number;
}

/**
 * Removes what no image needs and half-made files of a dead process; with `partials` also downloads that were not finished,
 * which a next pull would go on with. @throws what removing throws
 */
export async function collectGarbage(
  places: ImagePlaces,
  { partials }: { readonly partials: boolean },
): Promise<Collected> {
  const { table, content, layers, spools } = places;
  const removed: string[] = [];
  let freedBytes = 0;
  for (const name of content.leftovers()) {
    freedBytes += content.removeLeftover(name);
    removed.push(`file ${name}`);
  }
  for (const { digest } of partials ? content.partials() : []) {
    freedBytes += content.removePartial(digest);
    removed.push(`partial blob ${digest}`);
  }
  for (const path of spoolLeftovers(spools)) {
    await rm(path, { recursive: true, force: true });
    removed.push(`directory ${path}`);
  }
  for (const name of await layers.removeLeftovers()) removed.push(`directory ${name}`);
  table.dropLayerBlobs();
  for (const digest of unownedBlobs(places)) {
    freedBytes += content.remove(digest);
    removed.push(`blob ${digest}`);
  }
  for (const diffId of unownedLayers(places)) {
    // While another one was deleted, an installation may have begun that needs this one.
    if (table.isLayerUsed(diffId) || isPinned(places, diffId)) continue;
    freedBytes += await removeLayer(places, diffId);
    removed.push(`layer ${diffId}`);
  }
  // Rows of layers whose directory is gone.
  for (const diffId of table.layers()) {
    if (!table.isLayerUsed(diffId) && !layers.has(diffId)) table.deleteLayer(diffId);
  }
  return { removed, freedBytes };
}

/** Removes the layers and blobs among these that nothing needs any more; the diff IDs of the layers that went. */
export async function releaseContent(
  places: ImagePlaces,
  diffIds: readonly DiffId[],
  digests: readonly Digest[],
): Promise<DiffId[]> {
  const { table, content, layers, pins } = places;
  const dropped = table.dropLayerBlobs();
  const named = ownedBlobs(table);
  for (const digest of [...digests, ...dropped]) {
    if (!named.has(digest) && !pins.isHeld(digest)) content.remove(digest);
  }
  const unused = [...new Set(diffIds)].filter(
    (diffId) => !table.isLayerUsed(diffId) && !pins.isHeld(diffId) && layers.has(diffId),
  );
  // All are taken away before the first file is deleted: what follows may take long.
  const deletions = unused.map((diffId) => takeLayer(places, diffId));
  for (const { deleted } of deletions) await deleted;
  return unused;
}

function takeLayer(
  { table, layers }: ImagePlaces,
  diffId: DiffId,
): { freedBytes: number; deleted: Promise<void> } {
  const taken = layers.remove(diffId);
  table.deleteLayer(diffId);
  return taken;
}

async function removeLayer(places: ImagePlaces, diffId: DiffId): Promise<number> {
  const { freedBytes, deleted } = takeLayer(places, diffId);
  await deleted;
  return freedBytes;
}

/** What the index names but the disk lacks, and the other way round. */
export function checkImages(places: ImagePlaces): { missing: string[]; unowned: string[] } {
  const { table, content, layers, spools } = places;
  const rows = [...table.rows().map(({ id }) => id), ...table.hiddenIds()];
  const diffIds = new Set(rows.flatMap((id) => table.layersOf(id)));
  return {
    missing: [
      ...[...ownedBlobs(table)].filter((digest) => !content.has(digest)).map((it) => `blob ${it}`),
      ...[...diffIds].filter((diffId) => !layers.has(diffId)).map((it) => `layer ${it}`),
    ],
    unowned: [
      ...unownedBlobs(places).map((digest) => `blob ${digest}`),
      ...unownedLayers(places).map((diffId) => `layer ${diffId}`),
      ...content.leftovers().map((name) => `file ${name}`),
      ...spoolLeftovers(spools).map((path) => `directory ${path}`),
    ],
  };
}

function ownedBlobs(table: ImageTable): Set<Digest> {
  return new Set(table.allDigests());
}

function unownedBlobs({ table, content, pins }: ImagePlaces): Digest[] {
  const owned = ownedBlobs(table);
  if (pins.isHeld(ALL_BLOBS)) return [];
  return content.digests().filter((digest) => !owned.has(digest) && !pins.isHeld(digest));
}

function unownedLayers(places: ImagePlaces): DiffId[] {
  const { table, layers } = places;
  return layers
    .list()
    .map(({ diffId }) => diffId as DiffId)
    .filter((diffId) => !table.isLayerUsed(diffId) && !isPinned(places, diffId));
}

/** While a root file system is imported its diff ID is not known yet. */
function isPinned({ pins }: ImagePlaces, diffId: DiffId): boolean {
  return pins.isHeld(diffId) || pins.isHeld(ALL_LAYERS);
}

/** Held by work whose layers have no name yet. */
export const ALL_LAYERS = "all layers";

/** Held by work that makes blobs whose digests are not known yet. */
export const ALL_BLOBS = "all blobs";
