import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LayerStore } from "./layer-store.ts";
import { tarArchive } from "./tar-writer.ts";

let root: string;
let store: LayerStore;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tiffin-store-"));
  store = new LayerStore(root);
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function layer(content: string): { bytes: Uint8Array; diffId: string } {
  const bytes = tarArchive([{ type: "file", path: "f", content }]);
  return { bytes, diffId: `sha256:${createHash("sha256").update(bytes).digest("hex")}` };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function partial(): string[] {
  return readdirSync(join(root, "layers", "partial"));
}

describe("adding", () => {
  test("a layer is kept by its diff ID, which need not be known before", async () => {
    const { bytes, diffId } = layer("one");
    const added = await store.add(once(bytes));
    expect(added).toMatchObject({ diffId, sizeBytes: 3, entries: 1 });
    expect(added.directory).toBe(store.directory(diffId));
    expect(readFileSync(join(added.directory, "f"), "utf8")).toBe("one");
    expect(store.list()).toEqual([added]);
    expect(new LayerStore(root).layer(diffId)).toEqual(added);
    expect(partial()).toEqual([]);
  });

  test("a layer that is here is not read again", async () => {
    const { bytes, diffId } = layer("one");
    const added = await store.add(once(bytes));
    const again = await store.add(
      () => {
        throw new TypeError("opened");
      },
      { expected: { diffId } },
    );
    expect(again).toEqual(added);
  });

  test("a layer that comes again without being known is taken once", async () => {
    const { bytes } = layer("one");
    const added = await store.add(once(bytes));
    expect(await store.add(once(bytes))).toEqual(added);
    expect(partial()).toEqual([]);
  });

  test("of several calls for one layer one unpacks", async () => {
    const { bytes, diffId } = layer("one");
    let opened = 0;
    const open = (): AsyncGenerator<Uint8Array> => {
      opened += 1;
      return once(bytes);
    };
    const all = await Promise.all([1, 2, 3].map(() => store.add(open, { expected: { diffId } })));
    expect(opened).toBe(1);
    expect(new Set(all.map(({ createdAt }) => createdAt)).size).toBe(1);
  });

  test("when the one that unpacks fails, another goes on with its own source", async () => {
    const { bytes, diffId } = layer("one");
    const bad = store.add(once(layer("two").bytes), { expected: { diffId } });
    const good = store.add(once(bytes), { expected: { diffId } });
    await expect(bad).rejects.toThrow("its diff ID is");
    expect((await good).diffId).toBe(diffId);
    expect(partial()).toEqual([]);
  });

  test("a layer that cannot be unpacked leaves nothing", async () => {
    await expect(store.add(once(new Uint8Array(700)))).rejects.toThrow("Cannot read archive");
    expect(partial()).toEqual([]);
    expect(store.list()).toEqual([]);
  });
});

describe("removing", () => {
  test("a layer is gone at once, its files soon after", async () => {
    const { diffId } = await store.add(once(layer("one").bytes));
    const { freedBytes, deleted } = store.remove(diffId);
    expect(freedBytes).toBe(3);
    expect(store.has(diffId)).toBe(false);
    await deleted;
    expect(partial()).toEqual([]);
    expect(() => store.remove(diffId)).toThrow("No such layer");
  });

  test("leftovers of a process that is gone are removed, those of a living one stay", async () => {
    const dead = join(root, "layers", "partial", "4194304.1.0123456789ab");
    mkdirSync(join(dead, "diff", "deep"), { recursive: true });
    const foreign = join(root, "layers", "partial", "note");
    writeFileSync(foreign, "");
    const stat = readFileSync("/proc/self/stat", "latin1");
    const start = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const alive = `${process.pid}.${start}.0123456789ab`;
    mkdirSync(join(root, "layers", "partial", alive));
    expect((await store.removeLeftovers()).sort()).toEqual(["4194304.1.0123456789ab", "note"]);
    expect(partial()).toEqual([alive]);
  });
});

test("what is no digest names no directory", () => {
  for (const diffId of [
    "sha256:..",
    "../../etc",
    `sha512:${"0".repeat(128)}`,
    `sha256:${"A".repeat(64)}`,
  ]) {
    expect(() => store.directory(diffId)).toThrow("it is no sha256 digest");
  }
});

test("nobody but root may look into the layers", () => {
  expect(existsSync(join(root, "layers"))).toBe(true);
  const { stdout } = Bun.spawnSync(["stat", "-c", "%a", join(root, "layers")]);
  expect(stdout.toString().trim()).toBe("700");
});

test("a damaged record is told", async () => {
  const { diffId, directory } = await store.add(once(layer("one").bytes));
  writeFileSync(join(directory, "..", "layer.json"), "{}");
  expect(() => store.layer(diffId)).toThrow(`The record of layer ${diffId} is damaged`);
});
