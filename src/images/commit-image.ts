import { parseDiffId } from "../base/digest.ts";
import { TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { digestOf, startDigest } from "../base/hash.ts";
import type { ContainerConfig } from "./config-change.ts";
import { manifestFor } from "./docker-archive.ts";
import { ALL_LAYERS, type ImagePlaces, releaseContent } from "./garbage.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageLayer } from "./image-source.ts";
import type { ImageConfig } from "./image-store.ts";
import { tagFor } from "./import-rootfs.ts";
import { installImages } from "./install-image.ts";
import { type Descriptor, MEDIA_TYPE, parseDocument } from "./manifest.ts";

/** An image that is made from another one: its layers, perhaps one more, and a configuration. */
export interface ImageCommit {
  /** Id of the image below. */
  readonly parent: string;
  /** The new layer as a plain tar archive; without a byte there is none. */
  readonly layer: AsyncIterable<Uint8Array>;
  readonly config: ContainerConfig;
  readonly author: string;
  readonly comment: string;
  /** The history's word for what made the layer. */
  readonly createdBy: string;
  readonly reference?: string;
}

/** Makes the image; its id. Nothing stays when it fails. @throws not-found; invalid-argument (reference); what unpacking throws */
export async function commitImage(
  places: ImagePlaces,
  parent: { readonly config: ImageConfig; readonly manifestBytes: Uint8Array },
  commit: ImageCommit,
): Promise<string> {
  const references = commit.reference === undefined ? [] : [tagFor(commit.reference)];
  const { layers, pins } = places;
  const below = layersBelow(parent);
  pins.hold([ALL_LAYERS]);
  try {
    const lowerDirectories = below.map(({ diffId }) => layers.directory(diffId));
    const added = await addLayer(places, commit.layer, lowerDirectories);
    faultPoint("commit:unpacked");
    const all = added === null ? below : [...below, added];
    const configBytes = configOf(parent.config, commit, all);
    const source = {
      configBytes,
      config: parseImageConfig(configBytes),
      manifestBytes: manifestFor(configBytes, all),
      layers: all,
      references,
    };
    try {
      await installImages(places, [source]);
      return digestOf(configBytes);
    } finally {
      if (added !== null) await releaseContent(places, [added.diffId], []);
    }
  } finally {
    pins.release([ALL_LAYERS]);
  }
}

/** The parent's layers, which are here; its manifest says how they are stored elsewhere. */
function layersBelow(parent: { config: ImageConfig; manifestBytes: Uint8Array }): ImageLayer[] {
  const document = parseDocument(parent.manifestBytes, "the image's manifest");
  const descriptors = document.kind === "manifest" ? document.manifest.layers : [];
  return parent.config.rootfs.diff_ids.map((text, position) => {
    const descriptor = descriptors[position];
    if (descriptor === undefined) {
      throw new TiffinError(
        "data-loss",
        `The image's manifest does not have layer ${position + 1}`,
      );
    }
    return hereAlready(text, descriptor);
  });
}

function hereAlready(diffId: string, descriptor: Descriptor): ImageLayer {
  return {
    diffId: parseDiffId(diffId),
    descriptor,
    open: () => {
      throw new TiffinError("data-loss", `Cannot commit: layer ${diffId} was removed meanwhile`);
    },
  };
}

async function addLayer(
  { layers }: ImagePlaces,
  archive: AsyncIterable<Uint8Array>,
  lowerDirectories: readonly string[],
): Promise<ImageLayer | null> {
  const chunks = archive[Symbol.asyncIterator]();
  const first = await chunks.next();
  if (first.done === true) return null;
  const hash = startDigest();
  let size = 0;
  async function* measured(): AsyncGenerator<Uint8Array, void> {
    try {
      for (let next = first; next.done !== true; next = await chunks.next()) {
        hash.update(next.value);
        size += next.value.length;
        yield next.value;
      }
    } finally {
      await chunks.return?.();
    }
  }
  const { diffId } = await layers.add(measured(), { lowerDirectories, keepRecipe: true });
  return hereAlready(diffId, { mediaType: MEDIA_TYPE.ociLayer, digest: hash.digest(), size });
}

function configOf(
  parent: ImageConfig,
  commit: ImageCommit,
  layers: readonly ImageLayer[],
): Uint8Array {
  const created = new Date().toISOString();
  const { author, comment, createdBy } = commit;
  const isEmpty = layers.length === parent.rootfs.diff_ids.length;
  const { Healthcheck, Shell } = parent.config;
  const kept = {
    ...(Healthcheck === undefined ? {} : { Healthcheck }),
    ...(Shell === undefined ? {} : { Shell }),
  };
  const step = {
    created,
    ...(author === "" ? {} : { author }),
    ...(createdBy === "" ? {} : { created_by: createdBy }),
    ...(comment === "" ? {} : { comment }),
    ...(isEmpty ? { empty_layer: true } : {}),
  };
  return Buffer.from(
    JSON.stringify({
      architecture: parent.architecture,
      ...(parent.variant === undefined ? {} : { variant: parent.variant }),
      os: parent.os,
      created,
      ...(author === "" ? {} : { author }),
      ...(comment === "" ? {} : { comment }),
      config: { ...kept, ...commit.config },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: [...(parent.history ?? []), step],
    }),
  );
}
