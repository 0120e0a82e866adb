import { type Digest, shortId } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { familiarReference } from "../base/reference.ts";
import { type ImagePlaces, releaseContent } from "./garbage.ts";
import { diffIdsOf } from "./image-config.ts";
import type { ImageLayer, ImageSource } from "./image-source.ts";
import type { Progress } from "./image-store.ts";

type Report = (progress: Progress) => void;

/** Bytes of an archive between two reports of progress. */
const REPORT_BYTES = 512 * 1024;

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
  report: Report = () => {},
): Promise<Digest[]> {
  const { pins, content, table } = places;
  const digests = sources.flatMap((source) => [
    digestOf(source.configBytes),
    digestOf(source.manifestBytes),
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
  } finally {
    pins.release([...digests, ...diffIds]);
    // Removes nothing that the index names: after success this is idle.
    await releaseContent(places, diffIds, digests);
  }
}

async function addLayers(
  { layers }: ImagePlaces,
  sources: readonly ImageLayer[],
  report: Report,
): Promise<number[]> {
  const lowerDirectories: string[] = [];
  const sizes: number[] = [];
  for (const [position, source] of sources.entries()) {
    try {
      const layer = await layers.add(() => source.open(), {
        expected: { diffId: source.diffId },
        lowerDirectories,
        onBytes: reporter(source, report),
      });
      lowerDirectories.push(layer.directory);
      sizes.push(layer.sizeBytes);
    } catch (error) {
      throw layerError(error, position + 1, sources.length);
    }
  }
  return sizes;
}

/** Docker's words for the progress of one layer, not more often than docker. */
function reporter(layer: ImageLayer, report: Report): (takenBytes: number) => void {
  const totalBytes = layer.descriptor.size;
  let reported = -REPORT_BYTES;
  return (currentBytes) => {
    if (currentBytes - reported < REPORT_BYTES && currentBytes < totalBytes) return;
    reported = currentBytes;
    report({ id: shortId(layer.diffId), status: "Loading layer", currentBytes, totalBytes });
  };
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
  { table }: ImagePlaces,
  source: ImageSource,
  { sizes, report }: { sizes: readonly number[]; report: Report },
): Digest {
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
  for (const reference of source.references) {
    const before = table.idOf(reference);
    if (before !== undefined && before !== id && reference.digest === undefined) {
      report({
        status: `The image ${familiarReference(reference)} already exists, renaming the old one with ID ${before} to empty string`,
      });
    }
    table.setName(reference, id);
  }
  if (source.references.length > 0) table.setLastTagged(id, now);
  return id;
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
