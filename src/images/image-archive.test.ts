import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { hexOf } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { isTiffinError, messageOf } from "../base/error.ts";
import type { TarEntryInput } from "../layers/tar-writer.ts";
import type { Progress } from "./image-store.ts";
import { ociLayoutArchive } from "./pack-archive.ts";
import {
  BASE,
  dockerArchive,
  layerTar,
  packed,
  pieces,
  repack,
  StoreFixture,
  unpackArchive,
  UPPER,
} from "./store-fixture.ts";

const fixture = new StoreFixture();

async function refused(archive: Uint8Array, words: string): Promise<void> {
  let error: unknown;
  try {
    await fixture.load(archive);
  } catch (caught) {
    error = caught;
  }
  expect(messageOf(error)).toContain(words);
  expect(isTiffinError(error)).toBe(true);
  expect(fixture.onDisk()).toEqual([]);
  expect(fixture.store.images()).toEqual([]);
  expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
}

describe("load", () => {
  const gzipped = (tar: Uint8Array) => ({ bytes: gzipSync(tar), suffix: "+gzip" as const });
  const zstded = (tar: Uint8Array) => ({ bytes: zstdCompressSync(tar), suffix: "+zstd" as const });

  test("brings an OCI layout in: layers shared, whiteouts in overlayfs's form", async () => {
    const reports: Progress[] = [];
    const archive = ociLayoutArchive([packed({ name: "app:1" })]);
    expect(await fixture.store.load(pieces(archive), (progress) => reports.push(progress))).toEqual(
      ["app:1"],
    );
    const image = fixture.store.image("app:1");
    expect(image.repoTags).toEqual(["app:1"]);
    expect(image.repoDigests).toEqual([]);
    expect(image.config.config.Cmd).toEqual(["/x"]);
    expect(image.sizeBytes).toBe(15);
    const [lower = "", upper = ""] = fixture.store.layerDirectories(image.id);
    expect(readFileSync(join(lower, "etc/a"), "utf8")).toBe("lower");
    expect(readFileSync(join(upper, "etc/b"), "utf8")).toBe("upper");
    expect(statSync(join(upper, "etc/a")).isCharacterDevice()).toBe(true);
    // Layers come side by side: either may be the last to be whole.
    for (const { length, ...layer } of [BASE, UPPER].map((tar) => ({
      id: hexOf(digestOf(tar)).slice(0, 12),
      length: tar.length,
    }))) {
      const whole = { status: "Loading layer", currentBytes: length, totalBytes: length };
      expect(reports).toContainEqual({ ...layer, ...whole });
    }
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
    expect(readdirSync(join(fixture.root, "tmp"))).toEqual([]);
  });

  test("reads the archive and its layers plain, gzip and zstd", async () => {
    const image = packed({
      name: "app",
      layers: [
        { tar: BASE, createdBy: "base", stored: gzipped(BASE) },
        { tar: UPPER, createdBy: "upper", stored: zstded(UPPER) },
      ],
    });
    const archive = ociLayoutArchive([image]);
    const names: string[][] = [];
    for (const bytes of [archive, gzipSync(archive), zstdCompressSync(archive)]) {
      names.push(await fixture.load(bytes));
    }
    expect(names).toEqual([["app:latest"], ["app:latest"], ["app:latest"]]);
    expect(fixture.store.images()).toHaveLength(1);
  });

  test("compressed layers go out as they came, also when they are loaded again", async () => {
    const layers = [
      { tar: BASE, createdBy: "base", stored: gzipped(BASE) },
      { tar: UPPER, createdBy: "upper", stored: zstded(UPPER) },
    ];
    const archive = ociLayoutArchive([packed({ name: "app", layers })]);
    const saved = async (): Promise<Map<string, Uint8Array>> => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of fixture.store.save(["app"])) chunks.push(Uint8Array.from(chunk));
      return unpackArchive(Buffer.concat(chunks));
    };
    await fixture.load(archive);
    const first = await saved();
    for (const { stored } of layers) {
      const path = `blobs/${digestOf(stored.bytes).replace(":", "/")}`;
      expect(Buffer.from(first.get(path) ?? []).equals(stored.bytes)).toBe(true);
    }
    await fixture.load(archive);
    expect(await saved()).toEqual(first);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
    await fixture.store.remove("app", { force: false, usedBy: () => [] });
    expect(fixture.store.content.digests()).toEqual([]);
  });

  test("loads several images of one archive; an image without a name is told by its id", async () => {
    const archive = ociLayoutArchive([
      packed({ name: "a:1" }),
      packed({ name: "registry.example:5000/b:2", config: { Cmd: ["b"] } }),
      packed({ config: { Cmd: ["c"] } }),
    ]);
    const loaded = await fixture.load(archive);
    expect(loaded.slice(0, 2)).toEqual(["a:1", "registry.example:5000/b:2"]);
    expect(loaded[2]).toStartWith("sha256:");
    expect(fixture.store.image(loaded[2] ?? "").repoTags).toEqual([]);
    // Six layers in the manifests, two on the disk.
    expect(readdirSync(join(fixture.root, "layers/sha256"))).toHaveLength(2);
  });

  test("an image under several names is one image", async () => {
    const files = await unpackArchive(ociLayoutArchive([packed({ name: "a:1" })]));
    const index = JSON.parse(Buffer.from(files.get("index.json") ?? []).toString());
    const again = { ...index.manifests[0], annotations: { "io.containerd.image.name": "b:2" } };
    index.manifests.push(again);
    files.set("index.json", Buffer.from(JSON.stringify(index)));
    expect(await fixture.load(repack(files))).toEqual(["a:1", "b:2"]);
    expect(fixture.store.image("b:2").repoTags).toEqual(["a:1", "b:2"]);
  });

  test("takes this machine's image of nested indexes and passes over attestations", async () => {
    const files = await unpackArchive(ociLayoutArchive([packed({ name: "a:1" })]));
    const index = JSON.parse(Buffer.from(files.get("index.json") ?? []).toString());
    const here = index.manifests[0];
    delete here.annotations;
    const other = {
      ...here,
      digest: digestOf("absent"),
      platform: { os: "linux", architecture: "s390x" },
    };
    const attestation = {
      ...here,
      digest: digestOf("absent"),
      platform: { os: "unknown", architecture: "unknown" },
      annotations: { "vnd.docker.reference.type": "attestation-manifest" },
    };
    const inner = Buffer.from(
      JSON.stringify({ schemaVersion: 2, manifests: [attestation, other, here] }),
    );
    const descriptor = {
      mediaType: "application/vnd.oci.image.index.v1+json",
      digest: digestOf(inner),
      size: inner.length,
      annotations: { "org.opencontainers.image.ref.name": "docker.io/team/app:3" },
    };
    files.set(`blobs/sha256/${hexOf(digestOf(inner))}`, inner);
    files.set("index.json", Buffer.from(JSON.stringify({ manifests: [descriptor] })));
    expect(await fixture.load(repack(files))).toEqual(["team/app:3"]);
    const only = Buffer.from(JSON.stringify({ manifests: [other] }));
    files.set(`blobs/sha256/${hexOf(digestOf(only))}`, only);
    files.set(
      "index.json",
      Buffer.from(
        JSON.stringify({
          manifests: [{ ...descriptor, digest: digestOf(only), size: only.length }],
        }),
      ),
    );
    await expect(fixture.load(repack(files))).rejects.toThrow("the archive has none for linux/");
  });

  test("reads a docker archive, links to shared layers and all", async () => {
    const archive = dockerArchive([
      {
        tags: ["a:1", "docker.io/library/a:2"],
        layers: [BASE, gzipSync(UPPER)],
      },
    ]);
    await expect(fixture.load(archive)).rejects.toThrow("layer 2 of 2");
    expect(fixture.onDisk()).toEqual([]);
    const images = [
      { tags: ["a:1", "docker.io/library/a:2"], layers: [BASE, UPPER], link: true },
      { tags: null, layers: [BASE] },
    ];
    const [first, second, third] = await fixture.load(dockerArchive(images));
    expect([first, second]).toEqual(["a:1", "a:2"]);
    expect(third).toStartWith("sha256:");
    expect(fixture.store.image("a:2").config.config.Entrypoint).toBeUndefined();
  });

  test("reads docker 25's archive of both kinds, with the names of manifest.json where the layout has none", async () => {
    const files = await unpackArchive(ociLayoutArchive([packed()]));
    const index = JSON.parse(Buffer.from(files.get("index.json") ?? []).toString());
    const name = (digest: string) => `blobs/sha256/${hexOf(digest)}`;
    const manifest = JSON.parse(
      Buffer.from(files.get(name(index.manifests[0].digest)) ?? []).toString(),
    );
    files.set(
      "manifest.json",
      Buffer.from(
        JSON.stringify([
          {
            Config: name(manifest.config.digest),
            RepoTags: ["both:1"],
            Layers: manifest.layers.map((layer: { digest: string }) => name(layer.digest)),
          },
        ]),
      ),
    );
    expect(await fixture.load(repack(files))).toEqual(["both:1"]);
    expect(fixture.store.image("both:1").manifestDigest).toBe(index.manifests[0].digest);
    files.delete("index.json");
    expect(await fixture.load(repack(files))).toEqual(["both:1"]);
  });

  test("a tag moves to the image loaded last, and the old one is told of and stays", async () => {
    await fixture.load(ociLayoutArchive([packed({ name: "a" })]));
    const before = fixture.store.image("a").id;
    const reports: string[] = [];
    const archive = ociLayoutArchive([packed({ name: "a", config: { Cmd: ["new"] } })]);
    await fixture.store.load(pieces(archive), ({ status }) => reports.push(status));
    expect(fixture.store.image("a").id).not.toBe(before);
    expect(fixture.store.image(before).repoTags).toEqual([]);
    expect(reports).toContain(
      `The image a:latest already exists, renaming the old one with ID ${before} to empty string`,
    );
  });

  test("a layer that comes twice in an image is mounted once, where it is topmost", async () => {
    const layers = [BASE, UPPER, BASE].map((tar) => ({ tar, createdBy: "x" }));
    await fixture.load(ociLayoutArchive([packed({ name: "a", layers })]));
    const { id, sizeBytes } = fixture.store.image("a");
    expect(fixture.store.layerDirectories(id).map((path) => path.split("/").at(-2))).toEqual([
      hexOf(digestOf(UPPER)),
      hexOf(digestOf(BASE)),
    ]);
    expect(sizeBytes).toBe(25);
  });
});

describe("a bad archive leaves nothing", () => {
  async function changed(
    change: (files: Map<string, Uint8Array>, digests: { layer: string; config: string }) => void,
  ): Promise<Uint8Array> {
    const archive = ociLayoutArchive([packed({ name: "a:1" })]);
    const files = await unpackArchive(archive);
    const config = [...files].find(([, content]) => Buffer.from(content).includes("diff_ids"));
    change(files, {
      layer: `blobs/sha256/${hexOf(digestOf(UPPER))}`,
      config: config?.[0] ?? "",
    });
    return repack(files);
  }

  test("truncated anywhere", async () => {
    const archive = ociLayoutArchive([packed({ name: "a:1" })]);
    for (const part of [0, 100, 700, archive.length / 2, archive.length - 1024]) {
      await refused(archive.subarray(0, part), "Cannot read archive");
    }
    await refused(gzipSync(archive).subarray(0, 300), "Cannot read archive");
    await refused(zstdCompressSync(archive).subarray(0, 300), "Cannot read archive");
  });

  test("a source that breaks off", async () => {
    const archive = ociLayoutArchive([packed({ name: "a:1" })]);
    async function* broken(): AsyncGenerator<Uint8Array, void> {
      yield archive.subarray(0, 3000);
      throw new Error("aborted");
    }
    await expect(fixture.store.load(broken())).rejects.toThrow("aborted");
    expect(fixture.onDisk()).toEqual([]);
  });

  test("a missing, changed or short layer", async () => {
    await refused(
      await changed((files, { layer }) => void files.delete(layer)),
      "layer 2 is missing",
    );
    await refused(
      await changed((files, { layer }) => {
        const bytes = Buffer.from(files.get(layer) ?? []);
        bytes[600] = 1;
        files.set(layer, bytes);
      }),
      "the digest of layer 2 is",
    );
    await refused(
      await changed((files, { layer }) => void files.set(layer, Buffer.from("x"))),
      "layer 2 has 1 bytes, not",
    );
  });

  test("a changed configuration", async () => {
    await refused(
      await changed((files, { config }) => {
        files.set(
          config,
          Buffer.from(
            Buffer.from(files.get(config) ?? [])
              .toString()
              .replace("/x", "/y"),
          ),
        );
      }),
      "the digest of the manifest or configuration is",
    );
    const config = JSON.stringify({
      os: "linux",
      rootfs: { type: "layers", diff_ids: [digestOf(BASE)] },
    });
    const files = await unpackArchive(dockerArchive([{ tags: null, layers: [BASE], config }]));
    files.set(`${hexOf(digestOf(config))}.json`, Buffer.from(`${config} `));
    await refused(repack(files), "the digest of its configuration is");
  });

  test("a layer that is not what the configuration says, also in the second of two images", async () => {
    const config = JSON.stringify({
      os: "linux",
      rootfs: { type: "layers", diff_ids: [digestOf("x")] },
    });
    const bad = { tags: ["b:1"], layers: [BASE], config };
    await refused(dockerArchive([bad]), "layer 1 of 1: its diff ID is");
    await refused(dockerArchive([{ tags: ["a:1"], layers: [BASE, UPPER] }, bad]), "its diff ID is");
  });

  test("other numbers of layers, other systems, malformed documents", async () => {
    const docker = (config: object | string) =>
      dockerArchive([
        {
          tags: null,
          layers: [BASE],
          config: typeof config === "string" ? config : JSON.stringify(config),
        },
      ]);
    await refused(
      docker({ os: "linux", rootfs: { diff_ids: [] } }),
      "it has 1 layers, its configuration 0",
    );
    await refused(docker({ os: "windows" }), "Cannot use an image for windows");
    await refused(docker("{"), "it is not JSON");
    await refused(docker("[]"), "it is not an object");
    await refused(docker({ config: { Env: "PATH=/" } }), '"config.Env" is not a strings');
    await refused(docker({ rootfs: { diff_ids: ["md5:1"] } }), "digest");
    await refused(docker({ history: {} }), '"history" is not a list');
  });

  test("no archive of images at all", async () => {
    await refused(BASE, "the archive has neither manifest.json nor index.json");
    await refused(layerTar({ repositories: "{}" }), "docker before 1.10");
    await refused(Buffer.from("hello"), "Cannot read archive");
    await refused(layerTar({ "manifest.json": "[]" }), "it lists no images");
    await refused(layerTar({ "manifest.json": '[{"Config":1}]' }), "entry 1 is malformed");
    await refused(
      layerTar({ "manifest.json": '[{"Config":"../../etc/passwd","Layers":[]}]' }),
      "it has no",
    );
    await refused(layerTar({ "index.json": '{"manifests":[]}' }), "it lists no images");
    await refused(
      layerTar({ "index.json": '{"manifests":[{"digest":"sha256:../x"}]}' }),
      "is no sha256 digest",
    );
    await refused(layerTar({ "index.json": '{"layers":[],"config":{}}' }), "is no sha256 digest");
    await refused(
      dockerArchive([{ tags: ["Bad Name"], layers: [BASE] }]),
      "invalid reference format",
    );
  });

  test("links that go round or out of the archive", async () => {
    const files = await unpackArchive(dockerArchive([{ tags: null, layers: [BASE] }]));
    files.delete("00/layer.tar");
    const link = (linkTarget: string): TarEntryInput => ({
      type: "symlink",
      path: "00/layer.tar",
      linkTarget,
    });
    await refused(repack(files, [link("layer.tar")]), "layer 1 is missing");
    await refused(repack(files, [link("/etc/passwd")]), "layer 1 is missing");
    await refused(repack(files, [link("../../../../etc/passwd")]), "layer 1 is missing");
  });
});
