import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { LayerStore } from "./layer-store.ts";
import { tarArchive } from "./tar-writer.ts";

type Entries = Parameters<typeof tarArchive>[0];

describe("a layer's archive", () => {
  let root: string;
  let layers: LayerStore;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "tiffin-recipe."));
    layers = new LayerStore(root);
  });

  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }

  async function madeAgain(diffId: string): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of layers.archive(diffId)) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  const large = Buffer.alloc(3_000_001, "0123456789abcdef");
  const entries: Entries = [
    { type: "directory", path: "bin", mode: 0o755 },
    { type: "file", path: "bin/large", mode: 0o4755, content: large },
    { type: "hardlink", path: "bin/same", mode: 0o755, linkTarget: "bin/large" },
    { type: "symlink", path: "lib", mode: 0o777, linkTarget: "bin" },
    { type: "file", path: "lib/through-a-link", mode: 0o644, content: Buffer.alloc(100, 7) },
    { type: "file", path: "small", mode: 0o644, content: Buffer.from("x") },
    { type: "file", path: "bin/.wh.gone", mode: 0o644, content: Buffer.alloc(700, 1) },
    { type: "file", path: "empty", mode: 0o644, content: Buffer.alloc(0) },
  ];

  test.each([
    ["in pieces of a few bytes", 700, false],
    ["in large pieces, compressed", 1 << 20, true],
  ])("that came %s is made again bit for bit", async (_, size, isCompressed) => {
    const tar = tarArchive(entries.filter(({ path }) => path !== "lib/through-a-link"));
    const sent = isCompressed ? gzipSync(tar) : tar;
    const { diffId, archiveBytes } = await layers.add(pieces(sent, size), { keepRecipe: true });
    expect(archiveBytes).toBe(tar.length);
    expect((await madeAgain(diffId)).equals(tar)).toBe(true);
    // Contents are not stored twice.
    const home = join(root, "layers/sha256", diffId.slice(7));
    expect(statSync(join(home, "recipe.zst")).size).toBeLessThan(2000);
  });

  test("is not given out when a file was changed", async () => {
    const { diffId, directory } = await layers.add(pieces(tarArchive(entries.slice(0, 2)), 5000), {
      keepRecipe: true,
    });
    writeFileSync(join(directory, "bin/large"), Buffer.alloc(large.length, "z"));
    await expect(madeAgain(diffId)).rejects.toThrow("it became sha256:");
    writeFileSync(join(directory, "bin/large"), "short");
    await expect(madeAgain(diffId)).rejects.toThrow('"bin/large" is shorter than it was');
  });

  test("that is kept elsewhere leaves nothing here", async () => {
    const { diffId } = await layers.add(pieces(tarArchive(entries.slice(0, 2)), 5000));
    await expect(madeAgain(diffId)).rejects.toThrow("cannot be made again");
    const home = join(root, "layers/sha256", diffId.slice(7));
    expect(readdirSync(home).sort()).toEqual(["diff", "layer.json"]);
  });
});
