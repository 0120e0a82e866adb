import { afterEach, beforeEach } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../base/database.ts";
import { hexOf } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { LayerStore } from "../layers/layer-store.ts";
import { readTar } from "../layers/tar-reader.ts";
import { tarArchive, type TarEntryInput } from "../layers/tar-writer.ts";
import type { ImageStore } from "./image-store.ts";
import { openImageStore } from "./open-image-store.ts";
import type { PackedImage } from "./pack-archive.ts";

/** For tests: a store below a directory of its own, and small archives to load. */
export class StoreFixture {
  root: string = "";
  private opened: { database: Database; store: ImageStore } | undefined;

  /** A new store for each test of the file. */
  constructor() {
    beforeEach(() => {
      this.root = mkdtempSync(join(tmpdir(), "images."));
    });
    afterEach(() => {
      this.close();
      rmSync(this.root, { recursive: true });
    });
  }

  /** Opened when it is first used. */
  get store(): ImageStore {
    return this.open().store;
  }

  get database(): Database {
    return this.open().database;
  }

  /** As the end of the process does. */
  close(): void {
    this.opened?.database.close();
    this.opened = undefined;
  }

  private open(): { database: Database; store: ImageStore } {
    if (this.opened === undefined) {
      const { root } = this;
      const database = openDatabase(join(root, "state.db"));
      const store = openImageStore({ root, database, layers: new LayerStore(root) });
      this.opened = { database, store };
    }
    return this.opened;
  }

  async load(archive: Uint8Array): Promise<string[]> {
    return await this.store.load(pieces(archive));
  }

  /** What is on the disk below the root, without the database. */
  onDisk(): string[] {
    return ["blobs/sha256", "layers/sha256", "layers/partial", "tmp"]
      .map((path) => join(this.root, path))
      .flatMap((path) => (existsSync(path) ? readdirSync(path) : []))
      .sort();
  }
}

/** Bytes in small pieces, so that no boundary falls where a reader would like it. */
export async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
}

/** A tar of files (and directories, with a slash at the end) by path. */
export function layerTar(content: Readonly<Record<string, string>>): Uint8Array {
  return tarArchive(
    Object.entries(content).map(([path, text]) =>
      path.endsWith("/")
        ? { type: "directory", path, mode: 0o755 }
        : { type: "file", path, mode: 0o644, content: text },
    ),
  );
}

/** 10 bytes of files. */
export const BASE: Uint8Array = layerTar({ "etc/": "", "etc/a": "lower", "etc/b": "lower" });
/** 5 bytes of files; deletes one of {@link BASE}. */
export const UPPER: Uint8Array = layerTar({ "etc/.wh.a": "", "etc/b": "upper" });

export function packed(more: Partial<PackedImage> = {}): PackedImage {
  return {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    created: "2026-01-02T03:04:05Z",
    config: { Cmd: ["/x"] },
    layers: [
      { tar: BASE, createdBy: "base" },
      { tar: UPPER, createdBy: "upper" },
    ],
    ...more,
  };
}

/** The files of an archive, to change them. */
export async function unpackArchive(archive: Uint8Array): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for await (const { entry, body } of readTar(pieces(archive))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk.slice());
    files.set(entry.path, Buffer.concat(chunks));
  }
  return files;
}

export function repack(
  files: ReadonlyMap<string, Uint8Array>,
  more: readonly TarEntryInput[] = [],
): Uint8Array {
  return tarArchive([
    ...[...files].map(([path, content]) => ({ type: "file" as const, path, content })),
    ...more,
  ]);
}

export interface DockerImage {
  readonly tags: readonly string[] | null;
  /** Text of the configuration, when it is not the one that fits. */
  readonly config?: string;
  readonly layers: readonly Uint8Array[];
  /** Layers are links to files elsewhere in the archive. */
  readonly link?: boolean;
}

/** As `docker save` wrote before docker 25: directories of layers, a configuration named by its hash. */
export function dockerArchive(images: readonly DockerImage[]): Uint8Array {
  const files: (TarEntryInput & { content?: Uint8Array | string })[] = [];
  const manifest = images.map(({ tags, config, layers, link }, number) => {
    const configuration =
      config ??
      JSON.stringify({
        architecture: "amd64",
        os: "linux",
        created: `2026-01-0${number + 1}T00:00:00Z`,
        config: { Cmd: ["sh"], Entrypoint: null },
        rootfs: { type: "layers", diff_ids: layers.map(digestOf) },
      });
    const name = `${hexOf(digestOf(configuration))}.json`;
    const names = layers.map((content, position) => {
      const path = `${number}${position}/layer.tar`;
      if (link === true) {
        files.push({ type: "symlink", path, linkTarget: `../shared${position}/layer.tar` });
        files.push({ type: "file", path: `shared${position}/layer.tar`, content });
      } else files.push({ type: "file", path, content });
      return path;
    });
    files.push({ type: "file", path: name, content: configuration });
    return { Config: name, RepoTags: tags, Layers: names };
  });
  files.push({ type: "file", path: "manifest.json", content: JSON.stringify(manifest) });
  files.push({ type: "file", path: "repositories", content: "{}" });
  return tarArchive(files);
}
