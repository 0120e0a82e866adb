import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { outputOf } from "./command.ts";
import { digestOf, pushBlob, pushManifest, type Registry } from "./registry.ts";
import { scratch } from "./scratch.ts";

/** One layer of an image that is measured with, as files. */
export interface PackedLayer {
  readonly tar: string;
  readonly diffId: string;
  /** The same compressed by gzip. */
  readonly packed: string;
  readonly digest: string;
}

/** Where the files come from, and the share of the image's bytes that each brings: many small ones, libraries, programs. */
const SOURCES: readonly (readonly [directory: string, share: number])[] = [
  ["/usr/share", 0.3],
  ["/usr/lib", 0.5],
  ["/usr/bin", 0.2],
];
/** Larger ones would make an image of a few files. */
const LARGEST_FILE = 16_000_000;
const MEDIA = {
  manifest: "application/vnd.docker.distribution.manifest.v2+json",
  config: "application/vnd.docker.container.image.v1+json",
  layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
} as const;

/**
 * Layers made of files of this machine's /usr, in the order of their names: the same machine gives the same bytes. Owners and times
 * are set, so that an update that changes nothing else changes nothing.
 */
export async function packLayers(megabytes: number, count: number): Promise<PackedLayer[]> {
  const directory = join(scratch(), `layers-${megabytes}-${count}`);
  mkdirSync(directory);
  const files = SOURCES.flatMap(([source, share]) => take(source, megabytes * 1e6 * share));
  const each = Math.ceil(files.reduce((sum, { bytes }) => sum + bytes, 0) / count);
  const names: string[][] = Array.from({ length: count }, () => []);
  let before = 0;
  for (const { path, bytes } of files) {
    names[Math.floor(before / each)]?.push(path);
    before += bytes;
  }
  const layers: PackedLayer[] = [];
  for (const [position, paths] of names.entries()) {
    layers.push(await packLayer(join(directory, String(position)), paths));
  }
  return layers;
}

/** Files of a directory, all those below a directory before the next one. */
function take(directory: string, limit: number): { path: string; bytes: number }[] {
  const found: { path: string; bytes: number }[] = [];
  let left = limit;
  const walk = (path: string): void => {
    const entries = readdirSync(path, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      if (left <= 0) return;
      const child = join(path, entry.name);
      if (entry.isDirectory()) walk(child);
      if (!entry.isFile()) continue;
      const { size } = statSync(child);
      if (size > LARGEST_FILE) continue;
      found.push({ path: child, bytes: size });
      left -= size;
    }
  };
  walk(directory);
  return found;
}

async function packLayer(base: string, names: readonly string[]): Promise<PackedLayer> {
  const tar = `${base}.tar`;
  writeFileSync(`${base}.list`, names.map((name) => `${name.slice(1)}\n`).join(""));
  const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mtime=@1700000000"];
  await outputOf(["tar", "-C", "/", ...owner, "-cf", tar, "-T", `${base}.list`]);
  await outputOf(["gzip", "-n", "-k", tar]);
  const packed = `${tar}.gz`;
  return { tar, packed, diffId: await digestOfFile(tar), digest: await digestOfFile(packed) };
}

async function digestOfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Uint8Array);
  }
  return `sha256:${hash.digest("hex")}`;
}

/** `variant` makes configurations of the same layers differ. */
export function configuration(layers: readonly PackedLayer[], variant = 0): Uint8Array {
  return Buffer.from(
    JSON.stringify({
      architecture: process.arch === "arm64" ? "arm64" : "amd64",
      os: "linux",
      created: "2024-01-01T00:00:00Z",
      config: { Cmd: ["true"], Labels: { variant: String(variant) } },
      rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      history: layers.map((_, position) => ({ created_by: `layer ${position + 1}` })),
    }),
  );
}

/** Gives a registry an image of these layers; its name. */
export async function pushImage(
  registry: Registry,
  repository: string,
  layers: readonly PackedLayer[],
): Promise<string> {
  for (const { digest, packed } of layers) {
    await pushBlob(registry, repository, { digest, content: Bun.file(packed) });
  }
  const config = configuration(layers);
  await pushBlob(registry, repository, { digest: digestOf(config), content: config });
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: { mediaType: MEDIA.config, digest: digestOf(config), size: config.length },
    layers: layers.map(({ digest, packed }) => ({
      mediaType: MEDIA.layer,
      digest,
      size: statSync(packed).size,
    })),
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  await pushManifest(registry, { repository, tag: "1" }, { mediaType: MEDIA.manifest, bytes });
  return `${registry.host}/${repository}:1`;
}

/** An archive as docker 20.10 saves it, layers uncompressed, with `count` images of these layers called NAME:1 and so on; its path. */
export async function dockerArchive(
  name: string,
  layers: readonly PackedLayer[],
  count = 1,
): Promise<string> {
  const directory = join(scratch(), `archive-${name}`);
  mkdirSync(directory);
  for (const { tar, diffId } of layers) await cp(tar, join(directory, `${hex(diffId)}.tar`));
  const manifest = Array.from({ length: count }, (_, index) => {
    const bytes = configuration(layers, index);
    const Config = `${hex(digestOf(bytes))}.json`;
    writeFileSync(join(directory, Config), bytes);
    const Layers = layers.map(({ diffId }) => `${hex(diffId)}.tar`);
    return { Config, RepoTags: [`${name}:${index + 1}`], Layers };
  });
  writeFileSync(join(directory, "manifest.json"), JSON.stringify(manifest));
  const path = `${directory}.tar`;
  await outputOf(["tar", "-C", directory, "-cf", path, ...readdirSync(directory)]);
  return path;
}

function hex(digest: string): string {
  return digest.slice("sha256:".length);
}
