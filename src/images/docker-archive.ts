import { type Digest, isDigest } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { invalidArgument } from "../base/error.ts";
import { parseReference, type Reference, withDefaultTag } from "../base/reference.ts";
import { type Compression, compressionOf } from "../layers/decompress.ts";
import { type ArchiveSpool, spooledCompression, type SpooledFile } from "./archive-spool.ts";
import { diffIdsOf, parseImageConfig } from "./image-config.ts";
import type { ImageSource, ImageLayer } from "./image-source.ts";
import { asRecord, MEDIA_TYPE, parseJson } from "./manifest.ts";

export const DOCKER_MANIFEST = "manifest.json";

interface Entry {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

/**
 * The images of an archive made by `docker save` (and skopeo, podman, buildkit in that format): manifest.json lists
 * configurations and uncompressed or compressed layers by file name. Source: docker image spec v1.2, "Combined Image
 * JSON + Filesystem Changeset Format".
 *
 * @throws invalid-argument
 */
export function dockerArchiveImages(spool: ArchiveSpool): ImageSource[] {
  return manifestEntries(spool).map((entry) => dockerArchiveImage(spool, entry));
}

/** The tags that manifest.json gives to the image with that configuration; none when there is no manifest.json. */
export function dockerArchiveTags(spool: ArchiveSpool, configDigest: Digest): Reference[] {
  if (spool.file(DOCKER_MANIFEST) === undefined) return [];
  return manifestEntries(spool)
    .filter((entry) => spool.file(entry.config)?.digest === configDigest)
    .flatMap((entry) => entry.tags.map(tagOf));
}

function manifestEntries(spool: ArchiveSpool): Entry[] {
  const content = parseJson(spool.document(DOCKER_MANIFEST).bytes, DOCKER_MANIFEST);
  if (!Array.isArray(content) || content.length === 0) {
    throw invalidArgument(`Cannot read ${DOCKER_MANIFEST}: it lists no images`);
  }
  return content.map((item, position) => {
    const { Config, RepoTags, Layers } = asRecord(item) ?? {};
    if (typeof Config !== "string" || !isStrings(Layers ?? []) || !isStrings(RepoTags ?? [])) {
      throw invalidArgument(`Cannot read ${DOCKER_MANIFEST}: entry ${position + 1} is malformed`);
    }
    return {
      config: Config,
      layers: (Layers ?? []) as string[],
      tags: (RepoTags ?? []) as string[],
    };
  });
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function tagOf(text: string): Reference {
  return withDefaultTag(parseReference(text));
}

function dockerArchiveImage(spool: ArchiveSpool, entry: Entry): ImageSource {
  const { file, bytes } = spool.document(entry.config);
  const named = digestInName(entry.config);
  if (named !== undefined && named !== file.digest) {
    throw invalidArgument(
      `Cannot load image: the digest of its configuration is ${file.digest}, not ${named}`,
      "The archive is damaged: get it again",
    );
  }
  const config = parseImageConfig(bytes);
  const diffIds = diffIdsOf(config);
  if (diffIds.length !== entry.layers.length) {
    throw invalidArgument(
      `Cannot load image: it has ${entry.layers.length} layers, its configuration ${diffIds.length}`,
    );
  }
  const layers = diffIds.map((diffId, position): ImageLayer => {
    const layer = layerFile(spool, entry.layers[position] ?? "", position);
    const compression = spooledCompression(layer);
    return {
      diffId,
      descriptor: {
        mediaType: mediaTypeFor(compression),
        digest: layer.digest,
        size: layer.sizeBytes,
      },
      open: () => layer.path,
      keepsFile: compression !== "none",
    };
  });
  return {
    configBytes: bytes,
    config,
    manifestBytes: manifestFor(bytes, layers),
    layers,
    references: entry.tags.map(tagOf),
  };
}

function layerFile(spool: ArchiveSpool, name: string, position: number): SpooledFile {
  const file = spool.file(name);
  if (file === undefined) {
    throw invalidArgument(
      `Cannot load image: layer ${position + 1} is missing: the archive has no ${JSON.stringify(name)}`,
    );
  }
  const named = digestInName(name);
  // Old archives name layers by ids of another kind: only a blob's name is its digest.
  if (name.startsWith("blobs/") && named !== undefined && named !== file.digest) {
    throw invalidArgument(
      `Cannot load image: the digest of layer ${position + 1} is ${file.digest}, not ${named}`,
      "The archive is damaged: get it again",
    );
  }
  return file;
}

/** `HEX.json` and `blobs/sha256/HEX` name a digest; other names do not. */
function digestInName(name: string): Digest | undefined {
  const hex = /^(?:blobs\/sha256\/([0-9a-f]{64})|([0-9a-f]{64})\.json)$/.exec(name);
  const digest = `sha256:${hex?.[1] ?? hex?.[2] ?? ""}`;
  return isDigest(digest) ? digest : undefined;
}

/** An OCI manifest for an image that comes without one. */
export function manifestFor(configBytes: Uint8Array, layers: readonly ImageLayer[]): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPE.ociManifest,
      config: {
        mediaType: MEDIA_TYPE.ociConfig,
        digest: digestOf(configBytes),
        size: configBytes.length,
      },
      layers: layers.map(({ descriptor: { mediaType, digest, size } }) => ({
        mediaType,
        digest,
        size,
      })),
    }),
  );
}

/** The media type of a layer that starts with these bytes. */
export function layerMediaType(start: Uint8Array): string {
  return mediaTypeFor(compressionOf(start));
}

function mediaTypeFor(compression: Compression): string {
  return compression === "none" ? MEDIA_TYPE.ociLayer : `${MEDIA_TYPE.ociLayer}+${compression}`;
}
