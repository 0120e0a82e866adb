import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { ociLayoutArchive } from "./pack-archive.ts";
import { BASE, packed, StoreFixture, UPPER } from "./store-fixture.ts";

const fixture = new StoreFixture();
const BUN = process.execPath;

/** Loads an archive in a process that dies as by kill -9: at a fault point, or when it has read so many bytes. */
function dieLoading(archive: Uint8Array, death: { fault?: string; afterBytes?: number }): void {
  const { root } = fixture;
  writeFileSync(join(root, "archive"), archive);
  const room = (path: string) => JSON.stringify(join(import.meta.dirname, path));
  writeFileSync(
    join(root, "load.ts"),
    `import { readFileSync } from "node:fs";
     import { openDatabase } from ${room("../base/database.ts")};
     import { LayerStore } from ${room("../layers/layer-store.ts")};
     import { openImageStore } from ${room("open-image-store.ts")};
     const root = ${JSON.stringify(root)};
     const bytes = readFileSync(root + "/archive");
     async function* archive() {
       const end = ${death.afterBytes ?? "bytes.length"};
       for (let at = 0; at < end; at += 512) yield bytes.subarray(at, Math.min(at + 512, end));
       if (end < bytes.length) process.kill(process.pid, "SIGKILL");
     }
     const database = openDatabase(root + "/state.db");
     const store = openImageStore({ root, database, layers: new LayerStore(root) });
     await store.load(archive());`,
  );
  const env = {
    ...process.env,
    ...(death.fault === undefined ? {} : { TIFFIN_FAULT: death.fault }),
  };
  const { signal, stderr } = spawnSync(BUN, [join(root, "load.ts")], { env, encoding: "utf8" });
  expect(stderr).toBe("");
  expect(signal).toBe("SIGKILL");
}

describe("a load that is killed leaves what a collection finds and removes", () => {
  const archive = ociLayoutArchive([packed({ name: "a:1" })]);

  test("while the archive is read", async () => {
    dieLoading(archive, { afterBytes: 4096 });
    expect(fixture.onDisk()).toHaveLength(1);
    expect(fixture.store.check().unowned).toHaveLength(1);
    expect((await fixture.store.collectGarbage()).removed).toHaveLength(1);
    expect(fixture.onDisk()).toEqual([]);
  });

  for (const [fault, files] of [
    ["image:unpacked", 3],
    ["image:stored", 5],
  ] as const) {
    test(`at ${fault}, before the index knows of it`, async () => {
      dieLoading(archive, { fault });
      expect(fixture.store.images()).toEqual([]);
      expect(fixture.store.check().unowned).toHaveLength(files);
      const { removed, freedBytes } = await fixture.store.collectGarbage();
      expect(removed).toHaveLength(files);
      expect(freedBytes).toBeGreaterThan(0);
      expect(fixture.onDisk()).toEqual([]);
      expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
      expect(await fixture.load(archive)).toEqual(["a:1"]);
    });
  }

  test("at image:committed, after the index knows of it: the image is there", async () => {
    dieLoading(archive, { fault: "image:committed" });
    const { sizeBytes, id } = fixture.store.image("a:1");
    expect(sizeBytes).toBe(15);
    expect(fixture.store.layerDirectories(id)).toHaveLength(2);
    // Only the spooled archive is left over.
    expect((await fixture.store.collectGarbage()).removed).toHaveLength(1);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
    expect(fixture.onDisk()).toHaveLength(4);
  });

  test("what another image needs stays", async () => {
    await fixture.load(archive);
    fixture.close();
    const layers = [BASE, UPPER].map((tar) => ({ tar, createdBy: "again" }));
    dieLoading(ociLayoutArchive([packed({ name: "b:1", layers })]), { fault: "image:stored" });
    expect((await fixture.store.collectGarbage()).removed).toHaveLength(3);
    expect(fixture.store.layerDirectories(fixture.store.image("a:1").id)).toHaveLength(2);
    expect(fixture.store.check()).toEqual({ missing: [], unowned: [] });
  });
});
