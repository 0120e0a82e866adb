import { createReadStream } from "node:fs";
import type { Digest } from "../base/digest.ts";
import {
  familiarReference,
  fullReference,
  isImageId,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../base/reference.ts";
import { TAR_END, tarHeader, tarPadding } from "../layers/tar-writer.ts";
import type { ImagePlaces } from "./garbage.ts";
import type { ImageTable } from "./image-table.ts";
import { parseImageConfig } from "./image-config.ts";
import { holdStored } from "./keep-stored.ts";
import { MEDIA_TYPE } from "./manifest.ts";
import { imageForSave, type StoredImage, type StoredLayer } from "./stored-layer.ts";

const READ_BYTES = 1 << 20;

/** The tags that an image is saved under: the one that it was asked for by; none when it was its ID. */
export function namesToSave(table: ImageTable, text: string): Reference[] {
  if (isImageId(text)) return [];
  const reference = withDefaultTag(parseReference(text));
  // A short ID reads like a name too.
  return reference.digest === undefined && table.idOf(reference) !== undefined ? [reference] : [];
}

interface Chosen {
  readonly image: StoredImage;
  readonly names: readonly Reference[];
}

/**
 * Images as `docker save` has written them since docker 25: an OCI image layout (image-spec v1.1.1 image-layout.md) whose
 * manifest.json lets older programs read it as a docker archive. Layers are as they came from their registry where that is kept,
 * else uncompressed. The images stay until the archive was read.
 */
export async function* saveImages(
  places: ImagePlaces,
  chosen: ReadonlyMap<Digest, readonly Reference[]>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const release = holdStored(places, [...chosen.keys()]);
  try {
    const images: Chosen[] = [];
    for (const [id, names] of chosen) images.push({ image: await imageForSave(places, id), names });
    yield* archive(places, images, signal);
  } finally {
    await release();
  }
}

async function* archive(
  places: ImagePlaces,
  images: readonly Chosen[],
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  yield header("directory", "blobs", 0);
  yield header("directory", "blobs/sha256", 0);
  const written = new Set<string>();
  const isNew = (digest: Digest): boolean => written.size < written.add(digest).size;
  for (const { image } of images) {
    for (const layer of image.layers) {
      if (!isNew(layer.descriptor.digest)) continue;
      yield header("file", blobName(layer.descriptor.digest), layer.descriptor.size);
      yield* layerBytes(places, layer, signal);
      yield tarPadding(layer.descriptor.size);
    }
    const { id, manifest } = image;
    if (isNew(id)) yield* file(blobName(id), places.content.read(id));
    if (isNew(manifest.digest)) yield* file(blobName(manifest.digest), image.manifestBytes);
  }
  yield* file("index.json", json(indexOf(places, images)));
  yield* file("manifest.json", json(images.map(dockerManifest)));
  yield* file("oci-layout", json({ imageLayoutVersion: "1.0.0" }));
  yield TAR_END;
}

async function* layerBytes(
  { content, layers }: ImagePlaces,
  { diffId, descriptor, isBlob }: StoredLayer,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  if (!isBlob) yield* layers.archive(diffId, signal);
  else {
    // Whoever loads the archive checks the digest; hashing here as well would halve the speed.
    const options = { highWaterMark: READ_BYTES };
    for await (const chunk of createReadStream(content.path(descriptor.digest), options)) {
      yield chunk as Uint8Array;
    }
  }
}

function indexOf({ content }: ImagePlaces, images: readonly Chosen[]): object {
  const manifests = images.flatMap(({ image, names }): object[] => {
    const { os, architecture, variant } = parseImageConfig(content.read(image.id));
    const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
    const entry = { ...image.manifest, platform };
    if (names.length === 0) return [entry];
    return names.map((name) => ({
      ...entry,
      annotations: {
        "io.containerd.image.name": fullReference(name),
        "org.opencontainers.image.ref.name": name.tag,
      },
    }));
  });
  return { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests };
}

function dockerManifest({ image, names }: Chosen): object {
  return {
    Config: blobName(image.id),
    RepoTags: names.length === 0 ? null : names.map(familiarReference),
    Layers: image.layers.map(({ descriptor }) => blobName(descriptor.digest)),
    LayerSources: Object.fromEntries(
      image.layers.map(({ diffId, descriptor }) => [diffId, descriptor]),
    ),
  };
}

function blobName(digest: string): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function json(content: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(content));
}

function header(type: "directory" | "file", path: string, sizeBytes: number): Uint8Array {
  return tarHeader({ type, path, mode: type === "file" ? 0o644 : 0o755, sizeBytes });
}

function* file(path: string, bytes: Uint8Array): Generator<Uint8Array, void> {
  yield header("file", path, bytes.length);
  yield bytes;
  yield tarPadding(bytes.length);
}
