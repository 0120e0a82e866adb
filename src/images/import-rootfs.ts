import { parseDiffId } from "../base/digest.ts";
import { digestOf, startDigest } from "../base/hash.ts";
import { invalidArgument } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { parseReference, type Reference, withDefaultTag } from "../base/reference.ts";
import { changeConfig, type ContainerConfig } from "./config-change.ts";
import { layerMediaType, manifestFor } from "./docker-archive.ts";
import { ALL_LAYERS, type ImagePlaces, releaseContent } from "./garbage.ts";
import { parseImageConfig } from "./image-config.ts";
import type { ImageLayer, ImageSource } from "./image-source.ts";
import { installImages } from "./install-image.ts";
import { type Descriptor, hostPlatform } from "./manifest.ts";

export interface ImportOptions {
  readonly reference?: string;
  /** Dockerfile instructions. */
  readonly changes?: readonly string[];
  readonly message?: string;
  /** Where the archive came from, for the history; `-` is standard input. */
  readonly source?: string;
}

/**
 * Makes an image of one layer from the tar of a root file system (plain, gzip or zstd). Names and instructions are
 * checked before the archive is read.
 *
 * @throws invalid-argument, what unpacking throws
 */
export async function importRootfs(
  places: ImagePlaces,
  archive: AsyncIterable<Uint8Array>,
  options: ImportOptions,
): Promise<string> {
  const references = options.reference === undefined ? [] : [tagFor(options.reference)];
  let config: ContainerConfig = {};
  for (const change of options.changes ?? []) config = changeConfig(config, change);
  const { layers, pins } = places;
  pins.hold([ALL_LAYERS]);
  try {
    const measured = measure(archive);
    const layer = await layers.add(measured.bytes, { keepRecipe: true });
    faultPoint("import:unpacked");
    const diffId = parseDiffId(layer.diffId);
    const here: ImageLayer = {
      diffId,
      descriptor: measured.descriptor(),
      open: () => {
        throw invalidArgument("Cannot import: the layer was removed meanwhile");
      },
    };
    try {
      const source = sourceOf(here, config, { ...options, references });
      await installImages(places, [source]);
      return digestOf(source.configBytes);
    } finally {
      await releaseContent(places, [diffId], []);
    }
  } finally {
    pins.release([ALL_LAYERS]);
  }
}

/** A name that an image may be given: with a tag, without a digest. @throws invalid-argument */
export function tagFor(text: string): Reference {
  const reference = parseReference(text);
  if (reference.digest !== undefined) {
    throw invalidArgument("refusing to create a tag with a digest reference");
  }
  return withDefaultTag(reference);
}

/** Passes a stream on and measures it. */
function measure(archive: AsyncIterable<Uint8Array>): {
  bytes: AsyncIterable<Uint8Array>;
  descriptor: () => Descriptor;
} {
  const hash = startDigest();
  let size = 0;
  let start: Uint8Array = new Uint8Array();
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of archive) {
      hash.update(chunk);
      size += chunk.length;
      if (start.length < 64) start = Buffer.concat([start, chunk.subarray(0, 64)]);
      // Not a Buffer: its slice() is no copy, and the thread that unpacks takes its copy away.
      yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
    }
  }
  return {
    bytes: bytes(),
    descriptor: () => ({ mediaType: layerMediaType(start), digest: hash.digest(), size }),
  };
}

function sourceOf(
  layer: ImageLayer,
  config: ContainerConfig,
  options: ImportOptions & { references: readonly Reference[] },
): ImageSource {
  const created = new Date().toISOString();
  const comment = options.message ?? `Imported from ${options.source ?? "-"}`;
  const configBytes = Buffer.from(
    JSON.stringify({
      ...hostPlatform(),
      created,
      comment,
      config,
      rootfs: { type: "layers", diff_ids: [layer.diffId] },
      history: [{ created, comment }],
    }),
  );
  return {
    configBytes,
    config: parseImageConfig(configBytes),
    manifestBytes: manifestFor(configBytes, [layer]),
    layers: [layer],
    references: options.references,
  };
}
