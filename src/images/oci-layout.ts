import { invalidArgument, isTiffinError, TiffinError } from "../base/error.ts";
import { DEFAULT_TAG, parseReference, type Reference, withDefaultTag } from "../base/reference.ts";
import { type ArchiveSpool, spooledCompression, type SpooledFile } from "./archive-spool.ts";
import { dockerArchiveTags } from "./docker-archive.ts";
import { diffIdsOf, parseImageConfig } from "./image-config.ts";
import type { ImageSource, ImageLayer } from "./image-source.ts";
import {
  type Descriptor,
  hostPlatform,
  type Manifest,
  parseDocument,
  platformFits,
  platformName,
} from "./manifest.ts";

export const OCI_INDEX = "index.json";
/** image-spec v1.1.1 annotations.md: the reference of a layout's entry; many tools write a whole name, some a tag. */
const REF_NAME = "org.opencontainers.image.ref.name";
/** containerd's and docker's: always a whole name. */
const CONTAINERD_NAME = "io.containerd.image.name";
/** buildkit marks what is no image of its own (provenance, bills of materials) with this. */
const ATTACHED = "vnd.docker.reference.type";
const MAX_NESTING = 4;

/**
 * The images of an OCI image layout (image-spec v1.1.1 image-layout.md), also of the one inside a docker archive since
 * docker 25. Of an index for several platforms, the image for this machine. Digests and sizes are verified.
 *
 * @throws invalid-argument; not-found when the archive has images, but none for this machine
 */
export function ociLayoutImages(spool: ArchiveSpool): ImageSource[] {
  const { bytes } = spool.document(OCI_INDEX);
  const document = parseDocument(bytes, OCI_INDEX);
  if (document.kind !== "index") throw invalidArgument(`Cannot read ${OCI_INDEX}: it is no index`);
  const candidates = document.index.manifests.filter(isImage);
  if (candidates.length === 0) {
    throw invalidArgument(`Cannot read ${OCI_INDEX}: it lists no images`);
  }
  // A single image for another machine may be loaded, as docker does; it may not run here.
  const fitting = candidates.length === 1 ? candidates : candidates.filter(fits);
  const found = new Map<string, { chosen: Chosen; references: Reference[] }>();
  for (const descriptor of fitting) {
    const chosen = choose(spool, descriptor, 0);
    if (chosen === undefined) continue;
    // One image under several names is listed once for each.
    const known = found.get(chosen.descriptor.digest);
    const names = namesOf(descriptor);
    if (known === undefined) found.set(chosen.descriptor.digest, { chosen, references: names });
    else known.references.push(...names);
  }
  if (found.size === 0) throw noPlatform(candidates);
  return [...found.values()].map(({ chosen, references }) => image(spool, chosen, references));
}

interface Chosen {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly manifest: Manifest;
}

function isImage(descriptor: Descriptor): boolean {
  return descriptor.annotations?.[ATTACHED] === undefined;
}

function fits({ platform }: Descriptor): boolean {
  return platform === undefined || platformFits(platform);
}

/** The manifest that a descriptor leads to, through nested indexes; undefined when none is for this machine. */
function choose(spool: ArchiveSpool, descriptor: Descriptor, depth: number): Chosen | undefined {
  const bytes = blobDocument(spool, descriptor);
  const document = parseDocument(bytes, `manifest ${descriptor.digest}`);
  if (document.kind === "manifest") return { descriptor, bytes, manifest: document.manifest };
  if (depth >= MAX_NESTING) {
    throw invalidArgument(
      `Cannot load image: its indexes are nested more than ${MAX_NESTING} deep`,
    );
  }
  for (const nested of document.index.manifests.filter(isImage).filter(fits)) {
    const chosen = choose(spool, nested, depth + 1);
    if (chosen !== undefined) return chosen;
  }
  return undefined;
}

function noPlatform(candidates: readonly Descriptor[]): TiffinError {
  const offered = candidates
    .flatMap(({ platform }) => (platform === undefined ? [] : [platformName(platform)]))
    .join(", ");
  return new TiffinError(
    "not-found",
    `Cannot load image: the archive has none for ${platformName(hostPlatform())}`,
    offered === "" ? {} : { hint: `It has ${offered}` },
  );
}

function image(
  spool: ArchiveSpool,
  { bytes, manifest }: Chosen,
  names: readonly Reference[],
): ImageSource {
  const configBytes = blobDocument(spool, manifest.config);
  const config = parseImageConfig(configBytes);
  const diffIds = diffIdsOf(config);
  if (diffIds.length !== manifest.layers.length) {
    throw invalidArgument(
      `Cannot load image: its manifest has ${manifest.layers.length} layers, its configuration ${diffIds.length}`,
    );
  }
  const layers = manifest.layers.flatMap((descriptor, position): ImageLayer[] => {
    const diffId = diffIds[position];
    if (diffId === undefined) return [];
    const file = blob(spool, descriptor, `layer ${position + 1}`);
    const keepsFile = spooledCompression(file) !== "none";
    return [{ diffId, descriptor, open: () => file.path, keepsFile }];
  });
  const references = names.length > 0 ? names : dockerArchiveTags(spool, manifest.config.digest);
  return { configBytes, config, manifestBytes: bytes, layers, references };
}

function blobDocument(spool: ArchiveSpool, descriptor: Descriptor): Uint8Array {
  const file = blob(spool, descriptor, "the manifest or configuration");
  return spool.document(file.name).bytes;
}

/** @throws invalid-argument when the blob is missing, or is not what its descriptor says */
function blob(spool: ArchiveSpool, descriptor: Descriptor, what: string): SpooledFile {
  const { digest, size } = descriptor;
  const file = spool.file(`blobs/${digest.replace(":", "/")}`);
  if (file === undefined) {
    throw invalidArgument(`Cannot load image: ${what} is missing: the archive has no ${digest}`);
  }
  if (file.sizeBytes !== size) {
    throw invalidArgument(
      `Cannot load image: ${what} has ${file.sizeBytes} bytes, not ${size}: ${digest}`,
    );
  }
  if (file.digest !== digest) {
    throw invalidArgument(
      `Cannot load image: the digest of ${what} is ${file.digest}, not ${digest}`,
      "The archive is damaged: get it again",
    );
  }
  return file;
}

/** The names in a descriptor's annotations. What is no name is passed over: the image can be used by its id. */
function namesOf(descriptor: Descriptor): Reference[] {
  const full = descriptor.annotations?.[CONTAINERD_NAME];
  const name = full ?? descriptor.annotations?.[REF_NAME];
  // A layout is often one repository with its tags as names; "latest" alone is such a tag, not the name of an image.
  if (name === undefined || (full === undefined && name === DEFAULT_TAG)) return [];
  try {
    const reference = parseReference(name);
    return reference.digest === undefined ? [withDefaultTag(reference)] : [];
  } catch (error) {
    if (isTiffinError(error, "invalid-argument")) return [];
    throw error;
  }
}
