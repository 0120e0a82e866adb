import type { ImageCommit } from "./commit-image.ts";
import type { ContentStore } from "./content-store.ts";
import type { HistoryEntry } from "./image-history.ts";
import type { ImageSource } from "./image-source.ts";
import type { LayerUse } from "./layer-use.ts";
import type { Platform } from "./manifest.ts";
import type { LayerReport } from "./layer-report.ts";
import type { Reference } from "../base/reference.ts";
import type { StoredImage } from "./stored-layer.ts";
import type { ImageUser } from "./plan-removal.ts";

/** The content of an OCI image configuration that containers use (image-spec v1.1.1 config.md). */
export interface ImageConfig {
  readonly architecture: string;
  readonly variant?: string;
  readonly os: string;
  readonly created?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly config: {
    readonly User?: string;
    readonly Env?: readonly string[];
    readonly Entrypoint?: readonly string[] | null;
    readonly Cmd?: readonly string[] | null;
    readonly WorkingDir?: string;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly ExposedPorts?: Readonly<Record<string, object>> | null;
    readonly Volumes?: Readonly<Record<string, object>> | null;
    readonly StopSignal?: string;
    readonly Healthcheck?: object;
    readonly Shell?: readonly string[];
    readonly OnBuild?: readonly string[];
  };
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] };
  readonly history?: readonly {
    readonly created?: string;
    readonly created_by?: string;
    readonly author?: string;
    readonly comment?: string;
    readonly empty_layer?: boolean;
  }[];
}

export interface Image {
  /** `sha256:…`, the digest of the configuration. */
  readonly id: string;
  readonly config: ImageConfig;
  /** `name:tag`, familiar form (`debian:12`, `localhost:5000/x:y`). */
  readonly repoTags: readonly string[];
  /** `name@sha256:…` */
  readonly repoDigests: readonly string[];
  /** Bytes of the unpacked layers together. */
  readonly sizeBytes: number;
  /** When the image last got a tag; ISO 8601. */
  readonly lastTaggedAt: string;
  readonly manifestDigest: string;
}

/** A line of progress, in docker's words. */
export interface Progress {
  readonly id?: string;
  readonly status: string;
  readonly currentBytes?: number;
  readonly totalBytes?: number;
}

export interface RemovedImage {
  readonly untagged?: string;
  readonly deleted?: string;
}

/** What the engine and the API ask of images. References are as users write them; ids may be shortened. */
export interface ImageStore {
  /** Where the blobs of images are kept: who brings one in from a registry writes there. */
  readonly content: ContentStore;
  /**
   * A name can stand for images of several platforms: the one that came last, unless a platform is asked for.
   * @throws not-found
   */
  image(reference: string, platform?: Platform): Image;
  /** Newest first. */
  images(): Image[];
  /** Layer directories of an image, the lowest first: absolute host paths, read-only, shared. */
  layerDirectories(imageId: string): string[];
  /** docker-archive or OCI layout, plain, gzip or zstd. Resolves to what was loaded: `name:tag`s, or the id when it has none. */
  load(
    archive: AsyncIterable<Uint8Array>,
    report?: (progress: Progress) => void,
  ): Promise<string[]>;
  /** One root file system as a tar (plain, gzip, zstd) becomes an image of one layer. `changes`: Dockerfile instructions. Resolves to the id. */
  importRootfs(
    archive: AsyncIterable<Uint8Array>,
    options: { reference?: string; changes?: readonly string[]; message?: string; source?: string },
  ): Promise<string>;
  /** Makes an image from another one, a layer and a configuration. Resolves to the id. */
  commit(commit: ImageCommit): Promise<string>;
  /**
   * Does work with an image in the form in which registries take it; its blobs stay until the work is over.
   * @throws not-found; data-loss when a layer's archive cannot be made again
   */
  forPush<Result>(
    reference: string,
    work: (image: StoredImage) => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result>;
  /** Notes that a registry has the image under this digest. */
  addDigest(imageId: string, reference: Reference): void;
  /** An archive of images that others read too (save-images.ts). @throws not-found before the first byte */
  save(
    references: readonly string[],
    options?: { signal?: AbortSignal; platform?: Platform },
  ): AsyncGenerator<Uint8Array, void>;
  /** @throws not-found, invalid-argument */
  tag(source: string, target: string): void;
  /** Brings in an image from anywhere: its layers are unpacked, its names set. Resolves to the id. On an error nothing stays. */
  install(source: ImageSource, report?: LayerReport): Promise<string>;
  /** How the image was made, newest step first. @throws not-found */
  history(reference: string, platform?: Platform): HistoryEntry[];
  /**
   * Untags, and deletes what no tag and no container needs. `usedBy(imageId)` names the containers that use an image:
   * running ones always refuse, others unless forced (docker's rules). An image that stopped containers use and that is
   * removed by force disappears from lists; its layers stay until a collection finds it unused.
   * @throws conflict, not-found
   */
  remove(
    reference: string,
    options: { force: boolean; usedBy: (imageId: string) => readonly ImageUser[] },
  ): Promise<RemovedImage[]>;
  /**
   * Removes half-made files of a process that died, layers and blobs that no image needs, and images that were removed
   * while containers needed them, once `isUsed(imageId)` is false. Returns what was removed.
   */
  collectGarbage(options?: {
    isUsed?: (imageId: string) => boolean;
    /** Downloads that were not finished go too. */
    partials?: boolean;
  }): Promise<{ removed: string[]; freedBytes: number }>;
  /** The layers of all images, each once, and which images have them. */
  layerUse(): LayerUse[];
  /** Blobs and layers that the index names but the disk lacks, and the other way round. */
  check(): { missing: string[]; unowned: string[] };
}
