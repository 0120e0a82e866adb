import { invalidArgument } from "../base/error.ts";
import { fullName, fullReference, type Reference } from "../base/reference.ts";
import {
  asRecord,
  type Descriptor,
  MEDIA_TYPE,
  parseDocument,
  parseJson,
} from "../images/manifest.ts";
import { findDocument } from "./find-document.ts";
import { readSmallBlob } from "./read-small-blob.ts";
import { isSchema1, type RegistryDocument, type Repository, schema1 } from "./repository.ts";

/** All that an index says of a platform, in its own names: `os.version` and such are kept. */
export type PlatformWords = Readonly<Record<string, unknown>>;

/** A manifest of a registry, with all that an index says about one. */
export interface DescribedManifest {
  /** `docker.io/library/debian:12`, `…@sha256:…`: where it was found. */
  readonly reference: string;
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform: PlatformWords;
  readonly bytes: Uint8Array;
}

export interface DescribedDocument {
  readonly kind: "manifest" | "index";
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly bytes: Uint8Array;
  readonly platforms: readonly PlatformWords[];
  /** Those of an index, or the one itself; of an index only when they were asked for. */
  readonly manifests: readonly DescribedManifest[];
}

export interface DescribeOptions {
  /** Reads the manifests of an index too. */
  readonly withManifests: boolean;
  readonly signal: AbortSignal;
}

/** More than this many manifests are no honest index. */
const MAX_MANIFESTS = 500;

/** Tells what a reference stands for in its registry, without bringing an image in. @throws what reading it throws */
export async function describeDocument(
  repository: Repository,
  reference: Reference,
  options: DescribeOptions,
): Promise<DescribedDocument> {
  const found = await findDocument(repository, reference, options.signal);
  const document = readDocument(found, repository);
  const head = { ...headOf(found), bytes: found.bytes };
  if (document.kind === "manifest") {
    const platform = await platformOf(document.manifest.config, repository, options.signal);
    const name = fullName(reference);
    const mark = reference.digest === undefined ? `:${reference.tag}` : `@${reference.digest}`;
    const manifest = { ...head, reference: `${name}${mark}`, platform };
    return { ...head, kind: "manifest", platforms: [platform], manifests: [manifest] };
  }
  const { manifests } = document.index;
  const words = platformsIn(found.bytes);
  const described = options.withManifests
    ? await readManifests(manifests, words, { repository, reference, signal: options.signal })
    : [];
  return { ...head, kind: "index", platforms: words, manifests: described };
}

async function readManifests(
  descriptors: readonly Descriptor[],
  platforms: readonly PlatformWords[],
  {
    repository,
    reference,
    signal,
  }: { repository: Repository; reference: Reference; signal: AbortSignal },
): Promise<DescribedManifest[]> {
  if (descriptors.length > MAX_MANIFESTS) {
    throw invalidArgument(
      `Cannot read the index of ${repository.path}: it has ${descriptors.length} manifests, at most ${MAX_MANIFESTS} are read`,
    );
  }
  const described: DescribedManifest[] = [];
  for (const [position, { digest }] of descriptors.entries()) {
    const document = await repository.manifest(digest, signal);
    readDocument(document, repository);
    described.push({
      ...headOf(document),
      bytes: document.bytes,
      reference: fullReference({ ...reference, digest }),
      platform: platforms[position] ?? {},
    });
  }
  return described;
}

function readDocument(
  { bytes, mediaType, digest }: RegistryDocument,
  { path }: Repository,
): ReturnType<typeof parseDocument> {
  if (isSchema1(mediaType)) throw schema1(path);
  return parseDocument(bytes, `manifest ${digest}`);
}

/** The content's own word for what it is; the registry's, which says it in a header, where it has none. */
function headOf({ bytes, digest, mediaType }: RegistryDocument): {
  mediaType: string;
  digest: string;
  size: number;
} {
  const own = asRecord(parseJson(bytes, `manifest ${digest}`))?.["mediaType"];
  return { mediaType: typeof own === "string" ? own : mediaType, digest, size: bytes.length };
}

function platformsIn(bytes: Uint8Array): PlatformWords[] {
  const manifests = asRecord(parseJson(bytes, "the index"))?.["manifests"];
  if (!Array.isArray(manifests)) return [];
  return manifests.map((manifest) => asRecord(asRecord(manifest)?.["platform"]) ?? {});
}

const PLATFORM_KEYS = ["architecture", "os", "os.version", "os.features", "variant"];

/** An image's configuration says what it is for; that of an artifact says nothing. */
async function platformOf(
  config: Descriptor,
  repository: Repository,
  signal: AbortSignal,
): Promise<PlatformWords> {
  const isImage = [MEDIA_TYPE.ociConfig, MEDIA_TYPE.dockerConfig].includes(config.mediaType);
  if (!isImage) return {};
  const bytes = await readSmallBlob(repository, config, signal);
  const content = asRecord(parseJson(bytes, `configuration ${config.digest}`)) ?? {};
  return Object.fromEntries(
    Object.entries(content).filter(([key, value]) => PLATFORM_KEYS.includes(key) && value !== ""),
  );
}
