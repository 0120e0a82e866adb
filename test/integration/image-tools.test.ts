/** Archives as other tools write them: umoci makes the images, skopeo converts them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Database, openDatabase } from "../../src/base/database.ts";
import type { ImageStore } from "../../src/images/image-store.ts";
import { openImageStore } from "../../src/images/open-image-store.ts";
import { LayerStore } from "../../src/layers/layer-store.ts";

const wanted = ["umoci", "skopeo", "tar", "zstd"];
const missing = wanted.filter((program) => Bun.which(program) === null);
if (process.getuid?.() !== 0) missing.push("root");
if (missing.length > 0) {
  console.log(`skip: archives of umoci and skopeo: this needs ${missing.join(", ")}`);
}

/** Docker's layout: absolute path of the busybox of the machine, or nothing. */
const busybox = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));

let scratch = "";
let root = "";
let database: Database;
let store: ImageStore;

function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: scratch, encoding: "utf8" });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** A small root file system; the second version deletes, replaces and adds. */
function fillRootfs(rootfs: string, version: 1 | 2): void {
  if (version === 2) {
    rmSync(join(rootfs, "etc/gone"));
    rmSync(join(rootfs, "data"), { recursive: true });
    mkdirSync(join(rootfs, "data"));
    writeFileSync(join(rootfs, "data/new"), "new");
    writeFileSync(join(rootfs, "etc/version"), "2");
    return;
  }
  for (const path of ["bin", "etc", "data", "tmp"]) mkdirSync(join(rootfs, path));
  if (busybox !== undefined) copyFileSync(busybox, join(rootfs, "bin/busybox"));
  symlinkSync("busybox", join(rootfs, "bin/sh"));
  for (const path of ["etc/version", "etc/gone", "data/old"])
    writeFileSync(join(rootfs, path), "1");
}

describe.skipIf(missing.length > 0)("archives of umoci and skopeo", () => {
  beforeAll(() => {
    scratch = mkdtempSync(join(tmpdir(), "image-tools."));
    run("umoci", "init", "--layout", "layout");
    run("umoci", "new", "--image", "layout:latest");
    for (const version of [1, 2] as const) {
      run("umoci", "unpack", "--image", "layout:latest", "bundle");
      fillRootfs(join(scratch, "bundle/rootfs"), version);
      run("umoci", "repack", "--image", "layout:latest", "bundle");
      rmSync(join(scratch, "bundle"), { recursive: true });
    }
    run("umoci", "config", "--image", "layout:latest", "--config.cmd", "/bin/sh");
    run("umoci", "config", "--image", "layout:latest", "--config.env", "A=b");
  });
  afterAll(() => rmSync(scratch, { recursive: true, force: true }));

  async function load(archive: string): Promise<string[]> {
    root = mkdtempSync(join(scratch, "root."));
    database = openDatabase(join(root, "state.db"));
    store = openImageStore({ root, database, layers: new LayerStore(root) });
    return await store.load(createReadStream(join(scratch, archive)));
  }

  /** The layers hold what was put into them, and the upper one deletes in overlayfs's form. */
  function checkImage(reference: string): void {
    const image = store.image(reference);
    expect(image.config.config.Cmd).toEqual(["/bin/sh"]);
    expect(image.config.config.Env).toContain("A=b");
    const [lower = "", upper = "", ...more] = store.layerDirectories(image.id);
    expect(more).toEqual([]);
    expect(readFileSync(join(lower, "etc/version"), "utf8")).toBe("1");
    expect(readFileSync(join(upper, "etc/version"), "utf8")).toBe("2");
    expect(statSync(join(upper, "etc/gone")).rdev).toBe(0);
    expect(statSync(join(upper, "etc/gone")).isCharacterDevice()).toBe(true);
    expect(readFileSync(join(upper, "data/new"), "utf8")).toBe("new");
    if (busybox !== undefined) {
      expect(statSync(join(lower, "bin/busybox")).size).toBe(statSync(busybox).size);
    }
    expect(store.check()).toEqual({ missing: [], unowned: [] });
    database.close();
  }

  test("umoci's layout in a tar, plain, gzip and zstd, has no name and two layers", async () => {
    run("tar", "-cf", "umoci.tar", "-C", "layout", ".");
    run("tar", "-czf", "umoci.tar.gz", "-C", "layout", ".");
    run("zstd", "-q", "umoci.tar", "-o", "umoci.tar.zst");
    for (const archive of ["umoci.tar", "umoci.tar.gz", "umoci.tar.zst"]) {
      const [id = ""] = await load(archive);
      expect(id).toStartWith("sha256:");
      checkImage(id);
    }
  });

  test("skopeo's oci-archive carries the name that it was given", async () => {
    run("skopeo", "copy", "oci:layout:latest", "oci-archive:oci.tar:team/app:1");
    expect(await load("oci.tar")).toEqual(["team/app:1"]);
    checkImage("team/app:1");
  });

  test("skopeo's docker-archive has uncompressed layers and a name", async () => {
    run("skopeo", "copy", "oci:layout:latest", "docker-archive:docker.tar:app:2");
    expect(await load("docker.tar")).toEqual(["app:2"]);
    checkImage("app:2");
  });

  test("layers in zstd", async () => {
    const compress = ["--dest-compress", "--dest-compress-format", "zstd"];
    run("skopeo", "copy", ...compress, "oci:layout:latest", "oci:zstd:app");
    const index = JSON.parse(readFileSync(join(scratch, "zstd/index.json"), "utf8"));
    const digest: string = index.manifests[0].digest.slice("sha256:".length);
    const manifest = readFileSync(join(scratch, "zstd/blobs/sha256", digest), "utf8");
    expect(manifest).toContain("tar+zstd");
    run("tar", "-cf", "zstd.tar", "-C", "zstd", ".");
    expect(await load("zstd.tar")).toEqual(["app:latest"]);
    checkImage("app");
  });

  test("the same image has the same id and shares its layers, however it came", async () => {
    run("skopeo", "copy", "oci:layout:latest", "oci-archive:same.tar:same:1");
    const [name = ""] = await load("same.tar");
    const { id } = store.image(name);
    run("tar", "-cf", "again.tar", "-C", "layout", ".");
    expect(await store.load(createReadStream(join(scratch, "again.tar")))).toEqual([id]);
    expect(readdirSync(join(root, "layers/sha256"))).toHaveLength(2);
    const removed = await store.remove(id, { force: false, usedBy: () => [] });
    expect(removed[0]).toEqual({ untagged: "same:1" });
    expect(readdirSync(join(root, "layers/sha256"))).toEqual([]);
    expect(readdirSync(join(root, "blobs/sha256"))).toEqual([]);
    database.close();
  });
});
