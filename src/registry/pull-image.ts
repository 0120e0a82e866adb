import { type Digest, shortId } from "../base/digest.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { familiarName, type Reference } from "../base/reference.ts";
import type { ContentStore } from "../images/content-store.ts";
import { diffIdsOf, parseImageConfig } from "../images/image-config.ts";
import type { ImageLayer, ImageSource } from "../images/image-source.ts";
import type { Progress } from "../images/image-store.ts";
import {
  type Descriptor,
  type Manifest,
  MEDIA_TYPE,
  parseDocument,
  type Platform,
  platformFits,
  platformName,
} from "../images/manifest.ts";
import { downloadBlob } from "./download-blob.ts";
import { findDocument } from "./find-document.ts";
import { readSmallBlob } from "./read-small-blob.ts";
import { isSchema1, type RegistryDocument, type Repository, schema1 } from "./repository.ts";

const MAX_NESTING = 3;
/** Manifests of one index that are for the wanted platform: more than one is rare, and indexes may be nested. */
const MAX_FITTING = 16;
/** Layers that the publisher lets nobody else distribute: they are elsewhere (image-spec v1.1.1, "Non-Distributable Layers"). */
const FOREIGN = /nondistributable|foreign/;
const MANIFEST_TYPES = [MEDIA_TYPE.ociManifest, MEDIA_TYPE.dockerManifest];
const INDEX_TYPES = [MEDIA_TYPE.ociIndex, MEDIA_TYPE.dockerIndex];
const ATTACHED = "vnd.docker.reference.type";
/** Bytes between two reports of progress. */
const REPORT_BYTES = 256 * 1024;

export interface PullRequest {
  readonly repository: Repository;
  /** With a tag or a digest. */
  readonly reference: Reference;
  readonly platform: Platform;
  readonly store: ContentStore;
  readonly report: (progress: Progress) => void;
  readonly signal?: AbortSignal;
}

/** An image of a registry, to be installed: only its manifest and configuration have been read. */
export interface RemoteImage {
  readonly source: ImageSource;
  /** Of what stands under the tag: an index, or the manifest itself. */
  readonly digest: Digest;
}

/**
 * Finds the image that a reference names, for one platform. Its layers are downloaded when they are opened.
 *
 * @throws not-found, also when there is none for the platform; invalid-argument for what is no image that we can have
 */
export async function findRemoteImage(request: PullRequest): Promise<RemoteImage> {
  const { repository, reference, signal } = request;
  const document = await findDocument(repository, reference, signal);
  const chosen = await choose(document, request, 0);
  if (chosen === undefined) throw noPlatform(document, request);
  const { manifest } = chosen;
  if (isArtifact(manifest.config)) throw artifact(manifest.config, request);
  const configBytes = await readConfig(manifest.config, request);
  const config = parseImageConfig(configBytes);
  const diffIds = diffIdsOf(config);
  if (diffIds.length !== manifest.layers.length) {
    throw invalidArgument(
      `Cannot pull ${repository.path}: its manifest has ${manifest.layers.length} layers, its configuration ${diffIds.length}`,
    );
  }
  const layers = manifest.layers.flatMap((descriptor, position): ImageLayer[] => {
    const diffId = diffIds[position];
    return diffId === undefined ? [] : [remoteLayer(descriptor, diffId, request)];
  });
  const { digest } = document;
  const { tag } = reference;
  const byDigest = { ...reference, tag: undefined, digest };
  const references =
    reference.digest === undefined && tag !== undefined
      ? [{ ...reference, digest: undefined }, byDigest]
      : [byDigest];
  signal?.throwIfAborted();
  const manifestBytes = chosen.bytes;
  const source = { configBytes, config, manifestBytes, layers, references, keepsVariants: true };
  return { source, digest };
}

interface Chosen {
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

async function choose(
  { bytes, mediaType, digest }: RegistryDocument,
  request: PullRequest,
  depth: number,
): Promise<Chosen | undefined> {
  const { repository, signal, platform } = request;
  if (isSchema1(mediaType)) throw schema1(repository.path);
  const document = parseDocument(bytes, `manifest ${digest}`);
  const isOther = document.kind === "index" ? MANIFEST_TYPES : INDEX_TYPES;
  if (isOther.includes(mediaType)) {
    throw invalidArgument(
      `Cannot pull ${repository.path}: its registry calls ${digest} ${mediaType}, which it is not`,
    );
  }
  if (document.kind === "manifest") return { bytes, manifest: document.manifest };
  if (depth >= MAX_NESTING) {
    throw invalidArgument(`Cannot pull: indexes are nested more than ${MAX_NESTING} deep`);
  }
  const fitting = document.index.manifests.filter(
    (descriptor) =>
      descriptor.annotations?.[ATTACHED] === undefined &&
      (descriptor.platform === undefined || platformFits(descriptor.platform, platform)),
  );
  if (fitting.length > MAX_FITTING) {
    throw invalidArgument(
      `Cannot pull: an index has ${fitting.length} manifests for ${platformName(platform)}, at most ${MAX_FITTING} are looked at`,
    );
  }
  for (const descriptor of fitting) {
    const nested = await repository.manifest(descriptor.digest, signal);
    const chosen = await choose(nested, request, depth + 1);
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

/** Images without a word for it are as old as the words; other words are those of artifacts (image-spec v1.1.1, "Guidelines for Artifact Usage"). */
function isArtifact({ mediaType }: Descriptor): boolean {
  return !["", MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig].includes(mediaType);
}

function artifact({ mediaType }: Descriptor, { reference }: PullRequest): TiffinError {
  return new TiffinError(
    "invalid-argument",
    `Cannot pull ${familiarName(reference)}: it is an artifact (its configuration is ${mediaType}), not an image`,
    { hint: "Images can be run; artifacts hold other files" },
  );
}

function noPlatform(document: RegistryDocument, { platform }: PullRequest): TiffinError {
  const parsed = parseDocument(document.bytes, `manifest ${document.digest}`);
  const offered =
    parsed.kind === "index"
      ? parsed.index.manifests.flatMap((it) =>
          it.platform === undefined || it.annotations?.[ATTACHED] !== undefined
            ? []
            : [platformName(it.platform)],
        )
      : [];
  return new TiffinError(
    "not-found",
    `no matching manifest for ${platformName(platform)} in the manifest list entries`,
    offered.length === 0 ? {} : { hint: `There is ${offered.join(", ")}` },
  );
}

/** In memory: it is stored when all of the image is there. */
async function readConfig(
  descriptor: Descriptor,
  { repository, store, signal }: PullRequest,
): Promise<Uint8Array> {
  if (store.has(descriptor.digest)) return store.read(descriptor.digest);
  return readSmallBlob(repository, descriptor, signal);
}

function remoteLayer(
  descriptor: Descriptor,
  diffId: ImageLayer["diffId"],
  { repository, store, report }: PullRequest,
): ImageLayer {
  if (FOREIGN.test(descriptor.mediaType)) {
    throw new TiffinError(
      "not-implemented",
      `Cannot pull layer ${descriptor.digest}: it is a foreign layer, which its registry does not have`,
    );
  }
  const id = shortId(descriptor.digest);
  const { size } = descriptor;
  let reported = -REPORT_BYTES;
  const onBytes = (bytes: number): void => {
    if (bytes - reported < REPORT_BYTES && bytes < size) return;
    reported = bytes;
    report({ id, status: "Downloading", currentBytes: bytes, totalBytes: size });
  };
  return {
    descriptor,
    diffId,
    storesBlob: true,
    open: (signal) => ({
      growth: downloadBlob(repository, descriptor, store, { signal, onBytes }),
    }),
  };
}
