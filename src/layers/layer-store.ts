import { mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { faultPoint } from "../base/fault-point.ts";
import { closeDescriptor, openat2, renameat2 } from "../kernel/files.ts";
import { AT, O, RENAME_NOREPLACE } from "../kernel/flags.ts";
import { spreadDirectories } from "../kernel/spread-directories.ts";
import { errnoOf } from "../kernel/syscall.ts";
import { isLayerRecord, type LayerRecord } from "./layer-record.ts";
import { isLeftover, partialName } from "./partial-name.ts";
import { removeTree } from "./remove-tree.ts";
import { Stack } from "./stack.ts";
import { runTreeTask } from "./tree-thread.ts";
import { type LayerSource, unpackLayer, type UnpackOptions } from "./unpack.ts";

/** With `archiveBytes`, its archive can be made again ({@link LayerStore.archive}). */
export interface Layer extends LayerRecord {
  readonly diffId: string;
  /** Absolute path of its content in overlayfs's form: read-only, shared. */
  readonly directory: string;
}

export type AddOptions = Omit<UnpackOptions, "directory" | "recipe" | "record"> & {
  /** Keep what is needed to make the layer's archive again: for layers whose archive is kept nowhere. */
  readonly keepRecipe?: boolean;
};

export interface RemovedLayer {
  readonly freedBytes: number;
  /** The layer is gone for everyone at once; this settles when its files are deleted as well. */
  readonly deleted: Promise<void>;
}

const RECORD = "layer.json";
const RECIPE = "recipe.zst";

/**
 * Unpacked layers below `ROOT/layers`: `sha256/HEX/diff` and a record beside it, one a diff ID, shared by all images.
 * A layer appears and disappears with one rename; what is half made or half deleted is in `partial`.
 *
 * A directory that a layer's archive does not bring gets the attributes that the layers below show. They are those of the
 * first image that brought the layer here: a second one that stacks the same layer on other ones shares them. (Builders
 * write the parent directories into their archives, so that this is rare.)
 */
export class LayerStore {
  private readonly layers: string;
  private readonly partial: string;
  private readonly unpacking = new Map<string, Promise<Layer>>();

  /** Makes the directories when they are missing. */
  constructor(root: string) {
    this.layers = join(root, "layers", "sha256");
    this.partial = join(root, "layers", "partial");
    // Files in layers may be setuid; nobody but root gets near them.
    mkdirSync(join(root, "layers"), { recursive: true, mode: 0o700 });
    mkdirSync(this.layers, { recursive: true, mode: 0o700 });
    mkdirSync(this.partial, { recursive: true, mode: 0o700 });
    // Layers are made here.
    spreadDirectories(this.partial);
  }

  /** Where a layer's content is, or would be. @throws invalid-argument for what is no sha256 digest */
  directory(diffId: string): string {
    return join(this.home(diffId), "diff");
  }

  has(diffId: string): boolean {
    return this.find(diffId) !== null;
  }

  /** @throws not-found, data-loss */
  layer(diffId: string): Layer {
    const layer = this.find(diffId);
    if (layer === null) throw new TiffinError("not-found", `No such layer: ${diffId}`);
    return layer;
  }

  /** All layers, by diff ID. @throws data-loss */
  list(): Layer[] {
    return readdirSync(this.layers)
      .sort()
      .map((hex) => this.layer(`sha256:${hex}`));
  }

  /**
   * Unpacks a layer, unless it is here already: then the source is not read. Give a function to open the source only when it is needed.
   * Of several calls for one expected diff ID at a time, one unpacks. When it rejects, nothing is left behind.
   * @throws what {@link unpackLayer} throws
   */
  async add(source: LayerSource | (() => LayerSource), options: AddOptions = {}): Promise<Layer> {
    const diffId = options.expected?.diffId;
    if (diffId === undefined) return this.unpack(source, options);
    for (;;) {
      const here = this.find(diffId);
      if (here !== null) return here;
      const other = this.unpacking.get(diffId);
      if (other === undefined) break;
      // When the other one fails or is cancelled, that is its caller's to hear; this one tries with its own source.
      await other.catch(() => {});
      options.signal?.throwIfAborted();
    }
    const mine = this.unpack(source, options);
    this.unpacking.set(diffId, mine);
    try {
      return await mine;
    } finally {
      this.unpacking.delete(diffId);
    }
  }

  /**
   * The very archive that the layer was unpacked from, uncompressed. Its digest is verified at the end.
   *
   * @throws not-found, also when the layer has no `archiveBytes`; data-loss when its files were changed
   */
  async *archive(diffId: string, signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { directory, archiveBytes } = this.layer(diffId);
    if (archiveBytes === undefined) {
      throw new TiffinError("not-found", `The archive of layer ${diffId} cannot be made again`, {
        hint: "Remove the image and load or pull it again",
      });
    }
    const recipe = join(this.home(diffId), RECIPE);
    const task = { kind: "rebuild", directory, recipe, diffId } as const;
    for await (const result of runTreeTask(task, { signal })) {
      if (result.kind === "chunk") yield result.data;
    }
  }

  /** Takes a layer away. It must not be mounted. @throws not-found */
  remove(diffId: string): RemovedLayer {
    const { sizeBytes } = this.layer(diffId);
    const away = join(this.partial, partialName());
    renameSync(this.home(diffId), away);
    faultPoint("layer:removed");
    return { freedBytes: sizeBytes, deleted: removeTree(away) };
  }

  /** Deletes what processes that are gone left half made or half deleted; the names that were deleted. */
  async removeLeftovers(): Promise<string[]> {
    const leftovers = readdirSync(this.partial).filter(isLeftover);
    for (const name of leftovers) await removeTree(join(this.partial, name));
    return leftovers;
  }

  private home(diffId: string): string {
    const hex = /^sha256:([0-9a-f]{64})$/.exec(diffId)?.[1];
    if (hex === undefined)
      throw invalidArgument(`Invalid diff ID ${JSON.stringify(diffId)}: it is no sha256 digest`);
    return join(this.layers, hex);
  }

  private find(diffId: string): Layer | null {
    const path = join(this.home(diffId), RECORD);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    const record: unknown = JSON.parse(text);
    if (!isLayerRecord(record))
      throw new TiffinError("data-loss", `The record of layer ${diffId} is damaged: ${path}`);
    return { ...record, diffId, directory: this.directory(diffId) };
  }

  private async unpack(
    source: LayerSource | (() => LayerSource),
    options: AddOptions,
  ): Promise<Layer> {
    const place = join(this.partial, partialName());
    mkdirSync(place, { mode: 0o700 });
    try {
      const opened = typeof source === "function" ? source() : source;
      const { keepRecipe = false, ...rest } = options;
      const content = await unpackLayer(opened, {
        ...rest,
        directory: join(place, "diff"),
        record: join(place, RECORD),
        ...(keepRecipe ? { recipe: join(place, RECIPE) } : {}),
      });
      faultPoint("layer:unpacked");
      await this.install(place, content.diffId);
      return this.layer(content.diffId);
    } finally {
      // After success it is not there any more.
      await removeTree(place);
    }
  }

  private async install(place: string, diffId: string): Promise<void> {
    try {
      renameat2([AT.FDCWD, place], [AT.FDCWD, this.home(diffId)], RENAME_NOREPLACE);
    } catch (error) {
      // Somebody else was faster with the same content.
      if (errnoOf(error) === "EEXIST") return;
      throw error;
    }
    await syncDirectory(this.layers);
  }
}

/**
 * The layers of a stack (the lowest first) that can be seen: those from the highest one whose root is opaque. Overlayfs
 * does not look at that mark on a root, so whoever mounts leaves the others out.
 */
export function visibleLayers(directories: readonly string[]): string[] {
  const roots: number[] = [];
  try {
    for (const directory of directories.toReversed()) {
      roots.push(openat2(AT.FDCWD, directory, { flags: O.RDONLY | O.DIRECTORY }));
    }
    return directories.slice(directories.length - new Stack(roots).root().layers.length);
  } finally {
    roots.forEach(closeDescriptor);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, O.RDONLY | O.DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
