import { createGzip } from "node:zlib";
import { Readable } from "node:stream";
import type { DiffId, Digest } from "../base/digest.ts";
import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { digestOf } from "../base/hash.ts";
import type { ImagePlaces } from "./garbage.ts";
import { type Descriptor, MEDIA_TYPE, parseDocument } from "./manifest.ts";

/** A layer in a form that others can read. */
export interface StoredLayer {
  readonly diffId: DiffId;
  readonly descriptor: Descriptor;
  /** True: the bytes are a blob of the content store; false: they are the uncompressed archive, made when it is read. */
  readonly isBlob: boolean;
}

/** An image in the form in which it leaves: the manifest names the layers as they are given here. */
export interface StoredImage {
  readonly id: Digest;
  readonly config: Descriptor;
  readonly layers: readonly StoredLayer[];
  readonly manifestBytes: Uint8Array;
  readonly manifest: Descriptor;
}

type Choose = (diffId: DiffId, wanted: Descriptor | undefined) => Promise<StoredLayer>;

/**
 * An image for a registry: every layer a compressed blob of the store. What came from a registry goes as it came, manifest and
 * all; layers whose blob is not kept are made again and compressed into the store, once.
 *
 * @throws not-found, data-loss when a layer's archive cannot be made again
 */
export function imageForPush(
  places: ImagePlaces,
  id: Digest,
  signal?: AbortSignal,
): Promise<StoredImage> {
  return storedImage(places, id, async (diffId, wanted) => {
    const kept = keptBlob(places, diffId, wanted) ?? (await compressLayer(places, diffId, signal));
    return { diffId, descriptor: kept, isBlob: true };
  });
}

/** An image for an archive: blobs that are kept as they are, other layers uncompressed. @throws not-found */
export function imageForSave(places: ImagePlaces, id: Digest): Promise<StoredImage> {
  return storedImage(places, id, async (diffId, wanted) => {
    const kept = keptBlob(places, diffId, wanted);
    if (kept !== undefined) return { diffId, descriptor: kept, isBlob: true };
    const { archiveBytes } = places.layers.layer(diffId);
    if (archiveBytes === undefined) throw cannotBeHad(diffId);
    const descriptor = { mediaType: MEDIA_TYPE.ociLayer, digest: diffId, size: archiveBytes };
    return { diffId, descriptor: descriptor as unknown as Descriptor, isBlob: false };
  });
}

async function storedImage(
  { table, content }: ImagePlaces,
  id: Digest,
  choose: Choose,
): Promise<StoredImage> {
  const row = table.row(id);
  if (row === undefined) throw new TiffinError("not-found", `No such image: ${id}`);
  const original = content.read(row.manifestDigest);
  const document = parseDocument(original, `manifest ${row.manifestDigest}`);
  const wanted = document.kind === "manifest" ? document.manifest.layers : [];
  const layers: StoredLayer[] = [];
  for (const [position, diffId] of table.layersOf(id).entries()) {
    layers.push(await choose(diffId, wanted[position]));
  }
  const isOriginal =
    wanted.length === layers.length &&
    layers.every(({ descriptor }, position) => descriptor.digest === wanted[position]?.digest);
  const config = { mediaType: MEDIA_TYPE.ociConfig ?? "", digest: id, size: content.sizeBytes(id) };
  const manifestBytes = isOriginal ? original : manifestOf(config, layers);
  return {
    id,
    config,
    layers,
    manifestBytes,
    manifest: {
      mediaType: mediaTypeOf(manifestBytes),
      digest: digestOf(manifestBytes),
      size: manifestBytes.length,
    },
  };
}

/** A blob that a layer can be had from, the one that the manifest names before others. */
function keptBlob(
  { table, content }: ImagePlaces,
  diffId: DiffId,
  wanted: Descriptor | undefined,
): Descriptor | undefined {
  const kept = table.layerBlobs(diffId).filter(({ digest }) => content.has(digest));
  return kept.find(({ digest }) => digest === wanted?.digest) ?? kept[0];
}

async function compressLayer(
  { table, content, layers }: ImagePlaces,
  diffId: DiffId,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const archive = Readable.from(layers.archive(diffId, signal), { objectMode: true });
  const gzip = createGzip();
  // An error of the archive must reach who reads the compressed bytes.
  archive.on("error", (error) => gzip.destroy(error));
  archive.pipe(gzip);
  try {
    const { digest, sizeBytes } = await content.write(gzip);
    faultPoint("push:compressed");
    const descriptor = { mediaType: `${MEDIA_TYPE.ociLayer}+gzip`, digest, size: sizeBytes };
    table.transaction(() => table.setLayerBlob(diffId, descriptor));
    return descriptor;
  } finally {
    archive.destroy();
    gzip.destroy();
  }
}

function manifestOf(config: Descriptor, layers: readonly StoredLayer[]): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config,
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({
        mediaType: ociLayerType(mediaType),
        digest,
        size,
      })),
    }),
  );
}

/** Docker's word for a layer is not one of an OCI manifest. */
function ociLayerType(mediaType: string): string {
  if (!mediaType.startsWith("application/vnd.docker.")) return mediaType;
  return mediaType.endsWith(".gzip") ? `${MEDIA_TYPE.ociLayer}+gzip` : MEDIA_TYPE.ociLayer;
}

function mediaTypeOf(manifest: Uint8Array): string {
  const { mediaType } = JSON.parse(Buffer.from(manifest).toString("utf8")) as {
    mediaType?: unknown;
  };
  return typeof mediaType === "string" ? mediaType : MEDIA_TYPE.ociManifest;
}

function cannotBeHad(diffId: DiffId): TiffinError {
  return new TiffinError("not-found", `The archive of layer ${diffId} cannot be made again`, {
    hint: "It was unpacked by an older Tiffin: load or pull the image again",
  });
}
