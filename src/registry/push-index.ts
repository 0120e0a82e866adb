import type { Digest } from "../base/digest.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { digestOf } from "../base/hash.ts";
import { fullReference, type Reference } from "../base/reference.ts";
import { MEDIA_TYPE, parseDocument } from "../images/manifest.ts";
import type { PlatformWords } from "./describe-document.ts";
import { putManifest } from "./put-manifest.ts";
import type { Repository } from "./repository.ts";
import { mountBlob } from "./upload-blob.ts";

/** One manifest of an index that is made. */
export interface IndexEntry {
  /** Where it is; of the same registry. */
  readonly reference: Reference;
  readonly mediaType: string;
  readonly platform: PlatformWords;
  readonly bytes: Uint8Array;
}

export interface PushedIndex {
  readonly digest: Digest;
  /** Manifests that were brought over from other repositories, `registry/name@sha256:…`. */
  readonly pushed: readonly string[];
}

/**
 * Puts an index of manifests under a tag. Those of other repositories are brought over first, with their blobs, which the
 * registry takes over by itself: no layer is fetched or sent.
 *
 * @throws invalid-argument for manifests of another registry or without a platform; not-found when the registry does not take a
 *   blob over; what the registry says
 */
export async function pushIndex(
  repository: Repository,
  reference: Reference,
  { entries, signal }: { readonly entries: readonly IndexEntry[]; readonly signal: AbortSignal },
): Promise<PushedIndex> {
  const { mediaType, bytes } = indexOf(reference, entries);
  const pushed: string[] = [];
  const elsewhere = entries.filter((entry) => entry.reference.path !== reference.path);
  for (const entry of elsewhere) {
    pushed.push(await bringOver(repository, reference, { entry, signal }));
  }
  const mark = reference.tag ?? digestOf(bytes);
  await putManifest(repository, mark, { mediaType, bytes, signal });
  return { digest: digestOf(bytes), pushed };
}

async function bringOver(
  repository: Repository,
  reference: Reference,
  { entry, signal }: { readonly entry: IndexEntry; readonly signal: AbortSignal },
): Promise<string> {
  const digest = digestOf(entry.bytes);
  const document = parseDocument(entry.bytes, `manifest ${digest}`);
  if (document.kind === "index") throw invalidArgument(`${digest} is an index, not a manifest`);
  const { config, layers } = document.manifest;
  const from = entry.reference.path;
  for (const blob of new Set([config, ...layers].map((descriptor) => descriptor.digest))) {
    if (await repository.hasBlob(blob)) continue;
    if (await mountBlob(repository, blob, { from, signal })) continue;
    throw new TiffinError("not-found", `error mounting ${from}@${blob} to ${repository.path}`, {
      hint: `Push the image to ${repository.path} itself, and name it from there`,
    });
  }
  await putManifest(repository, digest, { ...entry, signal });
  return fullReference({ ...reference, tag: undefined, digest });
}

/** Of OCI manifests alone it is an OCI index, as docker's client makes it; else docker's manifest list. */
function indexOf(
  target: Reference,
  entries: readonly IndexEntry[],
): { mediaType: string; bytes: Uint8Array } {
  const manifests = entries.map(({ reference, mediaType, platform, bytes }) => {
    const name = fullReference(reference);
    if (reference.domain !== target.domain) {
      throw invalidArgument(
        `cannot use source images from a different registry than the target image: ${reference.domain} != ${target.domain}`,
      );
    }
    if (!platform["os"] || !platform["architecture"]) {
      throw invalidArgument(
        `manifest ${name} must have an OS and Architecture to be pushed to a registry`,
        "Give them with: tiffin manifest annotate --os linux --arch ARCHITECTURE LIST MANIFEST",
      );
    }
    return { mediaType, size: bytes.length, digest: digestOf(bytes), platform };
  });
  const isOci = manifests.every(({ mediaType }) => mediaType === MEDIA_TYPE.ociManifest);
  const mediaType = (isOci ? MEDIA_TYPE.ociIndex : MEDIA_TYPE.dockerIndex) ?? "";
  const content = { schemaVersion: 2, mediaType, manifests };
  return { mediaType, bytes: Buffer.from(JSON.stringify(content, undefined, 3)) };
}
