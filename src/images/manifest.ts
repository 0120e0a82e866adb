import { type Digest, isDigest } from "../base/digest.ts";
import { invalidArgument } from "../base/error.ts";

/** Media types that are read; docker's and OCI's mean the same (image-spec v1.1.1 media-types.md). */
export const MEDIA_TYPE: Readonly<
  Record<
    | "ociIndex"
    | "ociManifest"
    | "ociConfig"
    | "ociLayer"
    | "dockerIndex"
    | "dockerManifest"
    | "dockerConfig",
    string
  >
> = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
};

/** Manifests, indexes and configurations are held in memory; no honest one comes near this (registries allow 4 MiB). */
export const MAX_DOCUMENT_BYTES: number = 8 * 1024 * 1024;

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Points to content: media type, digest and size of the stored bytes (image-spec v1.1.1 descriptor.md). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly platform?: Platform;
}

export interface Manifest {
  readonly config: Descriptor;
  /** Lowest first. */
  readonly layers: readonly Descriptor[];
}

/** Lists manifests (or further indexes), usually one for each platform. */
export interface ImageIndex {
  readonly manifests: readonly Descriptor[];
}

export type Document =
  | { readonly kind: "manifest"; readonly manifest: Manifest }
  | { readonly kind: "index"; readonly index: ImageIndex };

/** A JSON value that is an object, or undefined. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

/** Parses JSON from an archive. `what` names it in the error. @throws invalid-argument */
export function parseJson(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8"));
  } catch (error) {
    throw invalidArgument(`Cannot read ${what}: it is not JSON (${(error as Error).message})`);
  }
}

/** Reads a manifest or an index, whichever the content says it is. @throws invalid-argument */
export function parseDocument(bytes: Uint8Array, what: string): Document {
  const content = asRecord(parseJson(bytes, what));
  if (content === undefined) throw invalidArgument(`Cannot read ${what}: it is not an object`);
  checkMediaType(content, what);
  // The media type alone is not enough, it is optional; and a document that is both would be read differently by others.
  if (content["manifests"] !== undefined && content["layers"] === undefined) {
    return { kind: "index", index: { manifests: descriptors(content["manifests"], what) } };
  }
  if (content["manifests"] !== undefined) {
    throw invalidArgument(`Cannot read ${what}: it is a manifest and an index at once`);
  }
  return {
    kind: "manifest",
    manifest: {
      config: descriptor(content["config"], `the configuration in ${what}`),
      layers: descriptors(content["layers"], what),
    },
  };
}

/** A document that calls itself the one and has the form of the other would be taken for either (CVE-2021-41190). */
function checkMediaType(content: Readonly<Record<string, unknown>>, what: string): void {
  const type = content["mediaType"];
  const isIndexType = type === MEDIA_TYPE.ociIndex || type === MEDIA_TYPE.dockerIndex;
  const isManifestType = type === MEDIA_TYPE.ociManifest || type === MEDIA_TYPE.dockerManifest;
  const isIndex = content["manifests"] !== undefined;
  if ((isIndexType && !isIndex) || (isManifestType && isIndex)) {
    throw invalidArgument(`Cannot read ${what}: it is not what its media type ${type} says`);
  }
}

function descriptors(value: unknown, what: string): Descriptor[] {
  if (!Array.isArray(value)) throw invalidArgument(`Cannot read ${what}: its list is missing`);
  return value.map((item, position) => descriptor(item, `entry ${position + 1} of ${what}`));
}

function descriptor(value: unknown, what: string): Descriptor {
  const content = asRecord(value);
  const { mediaType, digest, size } = content ?? {};
  if (typeof digest !== "string" || !isDigest(digest)) {
    throw invalidArgument(`Cannot read ${what}: ${JSON.stringify(digest)} is no sha256 digest`);
  }
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw invalidArgument(`Cannot read ${what}: ${JSON.stringify(size)} is no size`);
  }
  const platform = platformOf(content?.["platform"]);
  return {
    mediaType: typeof mediaType === "string" ? mediaType : "",
    digest,
    size,
    annotations: stringsOf(content?.["annotations"]),
    ...(platform === undefined ? {} : { platform }),
  };
}

/** `linux/arm64/v8`, `linux/amd64`, `arm64`. @throws invalid-argument */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split("/");
  const [first = "", second, variant] = parts.length === 1 ? ["linux", ...parts] : parts;
  const isPlatform = parts.length <= 3 && parts.every((part) => /^[a-z0-9_.-]+$/.test(part));
  if (!isPlatform || second === undefined) {
    throw invalidArgument(
      `Cannot use platform ${JSON.stringify(text)}`,
      "Write it as OS/ARCHITECTURE[/VARIANT], such as linux/arm64/v8",
    );
  }
  return {
    os: first,
    architecture: ARCHITECTURES[second] ?? second,
    ...(variant === undefined ? {} : { variant }),
  };
}

/** Other names of architectures that users know (containerd's platforms package has the same). */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  aarch64: "arm64",
  i386: "386",
};

function platformOf(value: unknown): Platform | undefined {
  const { os, architecture, variant } = asRecord(value) ?? {};
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, ...(typeof variant === "string" ? { variant } : {}) };
}

function stringsOf(value: unknown): Record<string, string> {
  const entries = Object.entries(asRecord(value) ?? {});
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

/** The platform of this machine, in Go's words. */
export function hostPlatform(): Platform {
  return process.arch === "arm64"
    ? { os: "linux", architecture: "arm64", variant: "v8" }
    : { os: "linux", architecture: "amd64" };
}

/** `linux/arm64/v8` */
export function platformName(platform: Platform): string {
  const { os, architecture, variant } = platform;
  return `${os}/${architecture}${variant === undefined ? "" : `/${variant}`}`;
}

/** True when this machine runs it: same system and architecture; a variant left out fits any. */
export function platformFits(platform: Platform, host: Platform = hostPlatform()): boolean {
  if (platform.os !== host.os || platform.architecture !== host.architecture) return false;
  // amd64 variants other than v1 name instructions that not every machine has.
  const usual = host.variant ?? "v1";
  return platform.variant === undefined || platform.variant === "" || platform.variant === usual;
}
