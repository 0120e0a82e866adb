import { beforeEach, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { type Digest, hexOf } from "../base/digest.ts";
import { digestOf } from "../base/hash.ts";
import { messageOf } from "../base/error.ts";
import { parseReference } from "../base/reference.ts";
import { ensureBuiltinImage, isBuiltinImage } from "./builtin.ts";
import { ociLayoutArchive } from "./pack-archive.ts";
import { BASE, layerTar, packed, pieces, StoreFixture, UPPER } from "./store-fixture.ts";

const fixture = new StoreFixture();
const unused = { force: false, usedBy: () => [] };

describe("names", () => {
  let id: Digest;
  beforeEach(async () => {
    await fixture.load(
      ociLayoutArchive([packed({ name: "a:1" }), packed({ name: "b", config: {} })]),
    );
    id = fixture.store.image("a:1").id as Digest;
  });

  test("an image is found by name, whole id, short id", () => {
    for (const text of [
      "a:1",
      "docker.io/library/a:1",
      id,
      hexOf(id),
      hexOf(id).slice(0, 12),
      id.slice(0, 15),
    ]) {
      expect(fixture.store.image(text).id).toBe(id);
    }
  });

  test("a list tells of each image what a look-up of it does", () => {
    fixture.store.tag("a:1", "other:2");
    fixture.store.addDigest(id, {
      ...parseReference("localhost:5000/a"),
      digest: digestOf("manifest"),
    });
    const listed = fixture.store.images();
    expect(listed).toHaveLength(2);
    expect(listed.find((image) => image.id === id)?.repoTags).toEqual(["a:1", "other:2"]);
    for (const image of listed) expect(fixture.store.image(image.id)).toEqual(image);
  });

  test("what is not there or names several is said so", () => {
    const message = (text: string) => {
      try {
        return fixture.store.image(text).id;
      } catch (error) {
        return messageOf(error);
      }
    };
    expect(message("a")).toBe("No such image: a:latest");
    expect(message("c:2")).toBe("No such image: c:2");
    expect(message(digestOf("x"))).toBe(`No such image: ${digestOf("x")}`);
    expect(message("A")).toBe(
      "invalid reference format: repository name (library/A) must be lowercase",
    );
    const first = new Set(fixture.store.images().map((image) => hexOf(image.id)[0]));
    if (first.size === 1) expect(message(hexOf(id)[0] ?? "")).toContain("is ambiguous");
    expect(message("sha256:")).toBe("invalid reference format");
  });

  test("the start of several ids is ambiguous", async () => {
    for (let round = 0; fixture.store.images().length < 18; round += 1) {
      const layers = [{ tar: BASE, createdBy: "x" }];
      await fixture.load(ociLayoutArchive([packed({ layers, config: { Cmd: [String(round)] } })]));
    }
    // Eighteen images have sixteen first digits.
    const digits = fixture.store.images().map((image) => hexOf(image.id).slice(0, 1));
    const twice = digits.find((digit, at) => digits.indexOf(digit) !== at) ?? "";
    expect(() => fixture.store.image(twice)).toThrow(`image ID "${twice}" is ambiguous`);
  });

  test("tag() adds a name and moves one", () => {
    fixture.store.tag("a:1", "localhost:5000/x");
    fixture.store.tag(id.slice(7, 19), "b:latest");
    expect(fixture.store.image(id).repoTags).toEqual([
      "a:1",
      "b:latest",
      "localhost:5000/x:latest",
    ]);
    expect(fixture.store.images().filter((image) => image.repoTags.length === 0)).toHaveLength(1);
    expect(() => fixture.store.tag("nope", "x")).toThrow("No such image: nope:latest");
    expect(() => fixture.store.tag("a:1", "X")).toThrow("must be lowercase");
    expect(() => fixture.store.tag("a:1", `x@${digestOf("x")}`)).toThrow(
      "refusing to create a tag with a digest reference",
    );
  });

  test("names, sizes and layers are the same after a restart", () => {
    const before = fixture.store.images();
    fixture.close();
    expect(fixture.store.images()).toEqual(before);
    expect(fixture.store.layerDirectories(id)).toHaveLength(2);
  });
});

describe("remove", () => {
  beforeEach(async () => {
    const layers = [
      { tar: BASE, createdBy: "base" },
      { tar: layerTar({ c: "only here" }), createdBy: "c" },
    ];
    await fixture.load(ociLayoutArchive([packed({ name: "a:1" }), packed({ name: "b", layers })]));
  });

  test("prints what docker prints, and keeps layers that others need", async () => {
    const { id } = fixture.store.image("a:1");
    fixture.store.tag("a:1", "a:2");
    expect(await fixture.store.remove("a:1", unused)).toEqual([{ untagged: "a:1" }]);
    const upperChain = digestOf(`${digestOf(BASE)} ${digestOf(UPPER)}`);
    expect(await fixture.store.remove("a:2", unused)).toEqual([
      { untagged: "a:2" },
      { deleted: id },
      { deleted: upperChain },
    ]);
    expect(fixture.store.layerDirectories(fixture.store.image("b").id)).toHaveLength(2);
    expect(
      (await fixture.store.remove(fixture.store.image("b").id, unused)).map((it) => it.deleted),
    ).toEqual([
      undefined,
      expect.stringContaining("sha256:"),
      expect.stringContaining("sha256:"),
      digestOf(BASE),
    ]);
    expect(fixture.onDisk()).toEqual([]);
    await expect(fixture.store.remove("b", unused)).rejects.toThrow("No such image: b:latest");
  });

  test("a running container refuses, and nothing changes", async () => {
    const options = { force: false, usedBy: () => [{ id: "c".repeat(64), running: true }] };
    const before = fixture.onDisk();
    await expect(fixture.store.remove("b", options)).rejects.toThrow(
      "container cccccccccccc is using",
    );
    expect(fixture.store.image("b").repoTags).toEqual(["b:latest"]);
    expect(fixture.onDisk()).toEqual(before);
  });

  test("an image removed by force keeps its layers for the stopped container until it is unused", async () => {
    const { id } = fixture.store.image("b");
    const usedBy = () => [{ id: "c".repeat(64), running: false }];
    expect(await fixture.store.remove("b", { force: true, usedBy })).toEqual([
      { untagged: "b:latest" },
      { deleted: id },
    ]);
    expect(fixture.store.images().map((image) => image.repoTags)).toEqual([["a:1"]]);
    expect(() => fixture.store.image(id.slice(7, 19))).toThrow("No such image");
    expect(fixture.store.layerDirectories(id)).toHaveLength(2);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
    expect((await fixture.store.collectGarbage()).removed).toEqual([]);
    expect((await fixture.store.collectGarbage({ isUsed: () => true })).removed).toEqual([]);
    const { removed, freedBytes } = await fixture.store.collectGarbage({ isUsed: () => false });
    expect(removed).toHaveLength(4);
    expect(freedBytes).toBeGreaterThan(9);
    expect(() => fixture.store.layerDirectories(id)).toThrow("No such image");
    expect(fixture.store.layerDirectories(fixture.store.image("a:1").id)).toHaveLength(2);
  });

  test("loading it again shows it again", async () => {
    const { id } = fixture.store.image("a:1");
    const usedBy = () => [{ id: "c".repeat(64), running: false }];
    await fixture.store.remove("a:1", { force: true, usedBy });
    await fixture.load(ociLayoutArchive([packed({ name: "a:1" })]));
    expect(fixture.store.image("a:1").id).toBe(id);
    expect((await fixture.store.collectGarbage({ isUsed: () => false })).removed).toEqual([]);
  });

  test("a load that is under way keeps the layers it counts on", async () => {
    const archive = ociLayoutArchive([packed({ name: "again" })]);
    let removal: Promise<unknown> = Promise.resolve();
    await fixture.store.load(pieces(archive), () => {});
    await fixture.store.remove("again", unused);
    const loading = fixture.store.load(pieces(archive));
    removal = fixture.store.remove("a:1", unused);
    await Promise.all([loading, removal, fixture.store.collectGarbage()]);
    expect(fixture.store.layerDirectories(fixture.store.image("again").id)).toHaveLength(2);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
  });
});

describe("import", () => {
  const ROOTFS = layerTar({ "bin/": "", "bin/sh": "#!", "etc/": "", "etc/x": "y" });

  test("makes an image of one layer, with changes", async () => {
    const id = await fixture.store.importRootfs(pieces(zstdCompressSync(ROOTFS)), {
      reference: "debian:12",
      changes: ['CMD ["bash"]', "ENV A=b"],
      message: "hello",
    });
    const image = fixture.store.image("debian:12");
    expect(image.id).toBe(id);
    expect(image.config.config).toEqual({ Cmd: ["bash"], Env: ["A=b"] });
    expect(image.config.history?.[0]?.comment).toBe("hello");
    expect(image.config.rootfs.diff_ids).toEqual([digestOf(ROOTFS)]);
    expect(readFileSync(join(fixture.store.layerDirectories(id)[0] ?? "", "etc/x"), "utf8")).toBe(
      "y",
    );
    expect(fixture.store.history(id)).toEqual([
      {
        Id: id,
        Created: expect.any(Number),
        CreatedBy: "",
        Tags: ["debian:12"],
        Size: 3,
        Comment: "hello",
      },
    ]);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
  });

  test("without a name, gzip, twice the same layer", async () => {
    const first = await fixture.store.importRootfs(pieces(gzipSync(ROOTFS)), {});
    const second = await fixture.store.importRootfs(pieces(ROOTFS), { source: "http://x/y" });
    expect(fixture.store.image(first).repoTags).toEqual([]);
    expect(fixture.store.image(second).config.history?.[0]?.comment).toBe(
      "Imported from http://x/y",
    );
    expect(readdirSync(join(fixture.root, "layers/sha256"))).toHaveLength(1);
    await fixture.store.remove(first, unused);
    expect(fixture.store.layerDirectories(second)).toHaveLength(1);
  });

  test("bad input leaves nothing and is told before the archive is read", async () => {
    let read = false;
    async function* archive(): AsyncGenerator<Uint8Array, void> {
      read = true;
      yield ROOTFS;
    }
    const refuse = async (options: object, words: string) => {
      await expect(fixture.store.importRootfs(archive(), options)).rejects.toThrow(words);
    };
    await refuse({ reference: "A" }, "must be lowercase");
    await refuse({ reference: `a@${digestOf("x")}` }, "refusing to create a tag with a digest");
    await refuse({ changes: ["RUN x"] }, "RUN is not a valid change command");
    expect(read).toBe(false);
    await expect(fixture.store.importRootfs(pieces(ROOTFS.subarray(0, 2000)), {})).rejects.toThrow(
      "it ends",
    );
    await expect(fixture.store.importRootfs(pieces(Buffer.from("no tar")), {})).rejects.toThrow(
      "Cannot",
    );
    expect(fixture.onDisk()).toEqual([]);
  });
});

describe("history", () => {
  test("tells the steps, newest first, with the bytes of their layers", async () => {
    await fixture.load(ociLayoutArchive([packed({ name: "a:1" })]));
    const { id } = fixture.store.image("a:1");
    const created = Date.parse("2026-01-02T03:04:05Z") / 1000;
    expect(fixture.store.history("a:1")).toEqual([
      { Id: id, Created: created, CreatedBy: "upper", Tags: ["a:1"], Size: 5, Comment: "" },
      { Id: "<missing>", Created: created, CreatedBy: "base", Tags: null, Size: 10, Comment: "" },
    ]);
  });
});

test("ensureBuiltinImage() loads hello once, and never over a user's own", async () => {
  const path = join(fixture.root, "hello.tar");
  await Bun.write(path, ociLayoutArchive([packed({ name: "hello:latest" })]));
  const image = await ensureBuiltinImage(fixture.store, path);
  expect(image.repoTags).toEqual(["hello:latest"]);
  expect((await ensureBuiltinImage(fixture.store, "/nowhere")).id).toBe(image.id);
  await fixture.store.remove("hello", unused);
  await expect(ensureBuiltinImage(fixture.store, "/nowhere")).rejects.toThrow(
    "Cannot read the built-in image",
  );
  expect(
    ["hello", "docker.io/library/hello:latest", "hello:2", "other", "Bad"].map(isBuiltinImage),
  ).toEqual([true, true, false, false, false]);
});

test("an index of a newer Tiffin is refused", () => {
  fixture.database.execute("UPDATE image_schema SET version = 99");
  fixture.close();
  expect(() => fixture.store).toThrow("its version is 99, this Tiffin reads 3");
});

test("an unfinished download is no garbage, and goes when it is asked for", async () => {
  const digest = digestOf(Buffer.from("whole"));
  const partial = await fixture.store.content.openPartial(digest);
  await partial.append(Buffer.from("who"));
  expect(fixture.store.content.partials()).toEqual([]);
  await partial.close();
  expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
  expect((await fixture.store.collectGarbage()).removed).toEqual([]);
  expect(fixture.store.content.partials()).toEqual([{ digest, sizeBytes: 3 }]);
  const { removed, freedBytes } = await fixture.store.collectGarbage({ partials: true });
  expect({ removed, freedBytes }).toEqual({ removed: [`partial blob ${digest}`], freedBytes: 3 });
});
