import { availableParallelism } from "node:os";
import type { Digest } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { isTiffinError, TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { familiarReference, type Reference } from "../base/reference.ts";
import { Slots } from "../base/slots.ts";
import type { Layer } from "../layers/layer-store.ts";
import type { LayerSource } from "../layers/unpack.ts";
import type { ContentStore } from "./content-store.ts";
import { type ImagePlaces, releaseContent } from "./garbage.ts";
import { diffIdsOf, parseImageConfig } from "./image-config.ts";
import type { ImageLayer, ImageSource } from "./image-source.ts";
import type { LayerReport } from "./layer-report.ts";
import { platformName } from "./manifest.ts";

/** More threads than processors would only take memory; less than two would not hide the waiting for the disk. */
const LAYERS_AT_ONCE = Math.max(2, Math.min(4, availableParallelism()));
/**
 * Brings images in, all or none: layers first (those that are here already are shared), then configurations and
 * manifests, then the index in one transaction. Whenever it stops before that, nothing stays; after a crash the
 * collection sees to it. Resolves to the ids.
 *
 * @throws what unpacking and storing throw, with the layer's number
 */
export async function installImages(
  places: ImagePlaces,
  sources: readonly ImageSource[],
  report: LayerReport = {},
): Promise<Digest[]> {
  const { pins, content, table } = places;
  const digests = sources.flatMap((source) => [
    digestOf(source.configBytes),
    digestOf(source.manifestBytes),
    ...source.layers.map(({ descriptor }) => descriptor.digest),
  ]);
  const diffIds = sources.flatMap((source) => diffIdsOf(source.config));
  pins.hold([...digests, ...diffIds]);
  try {
    const sizes: (readonly number[])[] = [];
    for (const source of sources) sizes.push(await addLayers(places, source.layers, report));
    faultPoint("image:unpacked");
    for (const { configBytes, manifestBytes } of sources) {
      await content.write(onePiece(configBytes));
      await content.write(onePiece(manifestBytes));
    }
    faultPoint("image:stored");
    const ids = table.transaction(() =>
      sources.map((source, index) => commit(places, source, { sizes: sizes[index] ?? [], report })),
    );
    faultPoint("image:committed");
    return ids;
  } catch (error) {
    if (!isBadImage(error)) setAside(places, sources);
    throw error;
  } finally {
    pins.release([...digests, ...diffIds]);
    // Removes nothing that the index names: after success this is idle.
    await releaseContent(places, diffIds, digests);
  }
}

/** What is wrong with the image itself stays so: what it is made of need not be kept for another try. */
function isBadImage(error: unknown): boolean {
  return isTiffinError(error, "invalid-argument", "data-loss", "not-implemented");
}

/** Blobs that were downloaded whole, of an image that did not come to its end, wait for the next try. */
function setAside({ table, content, pins }: ImagePlaces, sources: readonly ImageSource[]): void {
  const named = new Set(table.allDigests());
  const layers = sources.flatMap((source) => source.layers.filter((layer) => layer.storesBlob));
  for (const { descriptor } of layers) {
    // Another pull may need it as well.
    if (!named.has(descriptor.digest) && !pins.isShared(descriptor.digest)) {
      content.setAside(descriptor.digest);
    }
  }
}

/**
 * Layers side by side, the lower ones first: one that needs what lies below waits for it by itself. All have ended when this
 * settles; the first error ends the others.
 */
async function addLayers(
  { layers, content }: ImagePlaces,
  sources: readonly ImageLayer[],
  report: LayerReport,
): Promise<number[]> {
  const calledOff = new AbortController();
  const slots = new Slots(LAYERS_AT_ONCE);
  const adding: Promise<Layer>[] = [];
  for (const [position, source] of sources.entries()) {
    const lowerReady = Promise.all(adding);
    // A layer that is here already does not wait for it.
    lowerReady.catch(() => {});
    const add = async (): Promise<Layer> => {
      try {
        calledOff.signal.throwIfAborted();
        const wasHere = layers.has(source.diffId);
        const layer = await layers.add(() => opened(content, source, calledOff.signal), {
          expected: { diffId: source.diffId },
          lowerDirectories: sources
            .slice(0, position)
            .map(({ diffId }) => layers.directory(diffId)),
          lowerReady,
          sourceBytes: source.descriptor.size,
          onBytes: (bytes) => report.taken?.(source, bytes),
          signal: calledOff.signal,
          keepRecipe: source.storesBlob !== true && source.keepsFile !== true,
        });
        report.done?.(source, wasHere);
        return layer;
      } catch (error) {
        calledOff.abort(layerError(error, position + 1, sources.length));
        throw error;
      }
    };
    adding.push(slots.run(add));
  }
  await Promise.allSettled(adding);
  if (calledOff.signal.aborted) throw calledOff.signal.reason;
  return (await Promise.all(adding)).map(({ sizeBytes }) => sizeBytes);
}

/** Unpacking syncs the file system at its end, and with it a blob that was taken over here. */
function opened(content: ContentStore, source: ImageLayer, signal: AbortSignal): LayerSource {
  const bytes = source.open(signal);
  if (source.keepsFile !== true || typeof bytes !== "string") return bytes;
  return content.adopt(bytes, source.descriptor.digest);
}

function layerError(error: unknown, number: number, count: number): unknown {
  if (!(error instanceof TiffinError)) return error;
  const reason = error.message.replace(/^Cannot (?:unpack layer|read archive): /, "");
  return new TiffinError(error.code, `Cannot load image: layer ${number} of ${count}: ${reason}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: error.details }),
  });
}

/** Runs inside a transaction. */
function commit(
  places: ImagePlaces,
  source: ImageSource,
  { sizes, report }: { sizes: readonly number[]; report: LayerReport },
): Digest {
  const { table, content } = places;
  const id = digestOf(source.configBytes);
  const now = new Date().toISOString();
  const diffIds = diffIdsOf(source.config);
  table.insert(
    {
      id,
      manifestDigest: digestOf(source.manifestBytes),
      createdAt: createdAt(source.config.created),
      lastTaggedAt: now,
    },
    diffIds,
  );
  for (const [position, diffId] of diffIds.entries()) {
    table.setLayerSize(diffId, sizes[position] ?? 0);
  }
  for (const { descriptor, diffId } of source.layers) {
    if (content.has(descriptor.digest)) table.setLayerBlob(diffId, descriptor);
  }
  for (const reference of source.references) {
    const before = table.idOf(reference);
    const isReplaced = before !== undefined && before !== id && source.keepsVariants !== true;
    if (isReplaced && reference.digest === undefined) {
      report.renamed?.(familiarReference(reference), before);
    }
    table.setName(reference, id, source.keepsVariants ? variantsOf(places, reference, source) : []);
  }
  if (source.references.length > 0) table.setLastTagged(id, now);
  return id;
}

/** The images that a name stands for so far and that are for other platforms. */
function variantsOf(
  { table, content }: ImagePlaces,
  reference: Reference,
  { config }: ImageSource,
): Digest[] {
  return table
    .idsOf(reference)
    .filter((id) => platformName(parseImageConfig(content.read(id))) !== platformName(config));
}

/** In one form, so that text order is the order of time; the zero time when there is none. */
function createdAt(created: string | undefined): string {
  const milliseconds = Date.parse(created ?? "");
  return Number.isNaN(milliseconds)
    ? "0001-01-01T00:00:00.000Z"
    : new Date(milliseconds).toISOString();
}

async function* onePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}
