import type { DiffId } from "../base/digest.ts";
import type { Reference } from "../base/reference.ts";
import type { FileGrowth, LayerSource } from "../layers/unpack.ts";
import type { ImageConfig } from "./image-store.ts";
import type { Descriptor } from "./manifest.ts";

export type { FileGrowth };

/** A layer of an image that is somewhere else: in an archive, in a registry. */
export interface ImageLayer {
  /** Of the bytes that `open` gives. */
  readonly descriptor: Descriptor;
  readonly diffId: DiffId;
  /**
   * The stored bytes (plain, gzip or zstd), or a file that holds them or is going to. Called only when the layer is not here yet.
   * The signal ends what is under way.
   */
  open(signal: AbortSignal): LayerSource;
  /** True when opening it puts the stored bytes into the content store: then nothing else is kept to have them again. */
  readonly storesBlob?: boolean;
  /** True when `open` gives a file that may be taken for the content store, and has to be to have the stored bytes again. */
  readonly keepsFile?: boolean;
}

/** A read-only view of an image that can be installed; sources (archives, registries, builds) make them. */
export interface ImageSource {
  /** As stored: their hash is the image's id. */
  readonly configBytes: Uint8Array;
  readonly config: ImageConfig;
  readonly manifestBytes: Uint8Array;
  /** Lowest first, one for each of the configuration's diff IDs. */
  readonly layers: readonly ImageLayer[];
  /** Names that the image gets: with a tag, or with a digest. */
  readonly references: readonly Reference[];
  /** True: what these names stood for on other platforms they go on standing for, beside this image. */
  readonly keepsVariants?: boolean;
}
