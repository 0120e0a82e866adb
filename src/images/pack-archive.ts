import { type Digest } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { familiarReference, fullReference, parseReference } from "../base/reference.ts";
import { tarArchive } from "../layers/tar-writer.ts";
import { MEDIA_TYPE } from "./manifest.ts";

export interface PackedLayer {
  /** An uncompressed tar. */
  readonly tar: Uint8Array;
  /** The same as it is stored, when it is compressed. */
  readonly stored?: { readonly bytes: Uint8Array; readonly suffix: "+gzip" | "+zstd" };
  /** For the history. */
  readonly createdBy: string;
}

export interface PackedImage {
  /** `name:tag`, or nothing. */
  readonly name?: string;
  readonly architecture: string;
  /** ISO 8601. */
  readonly created: string;
  /** The configuration's `config`: Entrypoint, Env and so on. */
  readonly config: object;
  readonly layers: readonly PackedLayer[];
}

/** Files by name, as an archive holds them. */
type Files = Map<string, Uint8Array>;

/**
 * Small images as an OCI image layout in a tar archive, in memory; the same input gives the same bytes
 * (image-spec v1.1.1 image-layout.md).
 */
export function ociLayoutArchive(images: readonly PackedImage[]): Uint8Array {
  const files: Files = new Map();
  files.set("oci-layout", Buffer.from(JSON.stringify({ imageLayoutVersion: "1.0.0" })));
  const manifests = images.map((image) => ({
    ...addImage(files, image),
    ...(image.name === undefined ? {} : { annotations: annotationsFor(image.name) }),
  }));
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPE.ociIndex, manifests };
  files.set("index.json", Buffer.from(JSON.stringify(index)));
  return tarArchive(
    [...files].map(([path, content]) => ({ type: "file", path, mode: 0o644, content })),
  );
}

function annotationsFor(name: string): Record<string, string> {
  const reference = parseReference(name);
  return {
    "io.containerd.image.name": fullReference(reference),
    "org.opencontainers.image.ref.name": familiarReference(reference),
  };
}

function addImage(files: Files, image: PackedImage): object {
  const { architecture, created, config, layers } = image;
  const descriptors = layers.map(({ tar, stored }) =>
    addBlob(files, stored?.bytes ?? tar, MEDIA_TYPE.ociLayer + (stored?.suffix ?? "")),
  );
  const configuration = addJson(files, MEDIA_TYPE.ociConfig, {
    created,
    architecture,
    os: "linux",
    config,
    rootfs: { type: "layers", diff_ids: layers.map(({ tar }) => digestOf(tar)) },
    history: layers.map(({ createdBy }) => ({ created, created_by: createdBy })),
  });
  const manifest = addJson(files, MEDIA_TYPE.ociManifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPE.ociManifest,
    config: configuration,
    layers: descriptors,
  });
  return { ...manifest, platform: { architecture, os: "linux" } };
}

interface Added {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
}

function addJson(files: Files, mediaType: string, content: object): Added {
  return addBlob(files, Buffer.from(JSON.stringify(content)), mediaType);
}

function addBlob(files: Files, bytes: Uint8Array, mediaType: string): Added {
  const digest = digestOf(bytes);
  files.set(`blobs/${digest.replace(":", "/")}`, bytes);
  return { mediaType, digest, size: bytes.length };
}
