import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { AT, O } from "../kernel/flags.ts";
import { closeDescriptor, fgetxattr, fsetxattr, openat2, statusAt } from "../kernel/files.ts";
import { visibleLayers } from "./layer-store.ts";
import { isWhiteout, OPAQUE_ATTRIBUTE } from "./stack.ts";
import { tarArchive, type TarEntryInput } from "./tar-writer.ts";
import { type UnpackedContent, unpackLayer, type UnpackOptions } from "./unpack.ts";

type Entry = TarEntryInput & { readonly content?: string | Uint8Array };

/** A file can be read twice, so that what the layers below have is looked at in the end only. */
let fromFile = false;
let scratch: string;
let directory: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tiffin-unpack-"));
  directory = join(scratch, "layer");
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

async function* chunks(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
}

async function unpack(
  entries: readonly Entry[],
  options: Partial<UnpackOptions> = {},
): Promise<UnpackedContent> {
  const archive = tarArchive(entries);
  if (!fromFile) return unpackLayer(chunks(archive), { directory, ...options });
  const path = join(scratch, "archive.tar");
  writeFileSync(path, archive);
  return unpackLayer(path, { directory, ...options });
}

function at(path: string): string {
  return join(directory, path);
}

function attribute(path: string, name: string): string | null {
  const file = openat2(AT.FDCWD, path, { flags: O.RDONLY });
  const value = fgetxattr(file, name);
  closeDescriptor(file);
  return value === null ? null : Buffer.from(value).toString("latin1");
}

function isOpaque(path: string): boolean {
  return attribute(at(path), OPAQUE_ATTRIBUTE) === "y";
}

function hasWhiteout(path: string): boolean {
  const status = statusAt(AT.FDCWD, at(path));
  return status !== null && isWhiteout(status);
}

describe("kinds of entries", () => {
  test("each kind gets its type, owner, mode and time", async () => {
    const common = { uid: 1000, gid: 44, mtimeNs: 1_600_000_000_123_456_789n };
    await unpack([
      { type: "directory", path: "d", mode: 0o2750, ...common },
      { type: "file", path: "d/setuid", mode: 0o4755, content: "#!", ...common },
      { type: "symlink", path: "d/link", linkTarget: "setuid", ...common },
      { type: "fifo", path: "d/fifo", mode: 0o640, ...common },
      {
        type: "character-device",
        path: "d/null",
        mode: 0o666,
        deviceMajor: 1,
        deviceMinor: 3,
        ...common,
      },
      {
        type: "block-device",
        path: "d/disk",
        mode: 0o660,
        deviceMajor: 259,
        deviceMinor: 70000,
        ...common,
      },
    ]);
    const seen = ["d", "d/setuid", "d/link", "d/fifo", "d/null", "d/disk"].map((path) => {
      const status = statusAt(AT.FDCWD, at(path));
      return [path, status?.mode.toString(8), status?.uid, status?.gid, status?.mtimeNs];
    });
    const time = common.mtimeNs;
    expect(seen).toEqual([
      ["d", "42750", 1000, 44, time],
      ["d/setuid", "104755", 1000, 44, time],
      ["d/link", "120777", 1000, 44, time],
      ["d/fifo", "10640", 1000, 44, time],
      ["d/null", "20666", 1000, 44, time],
      ["d/disk", "60660", 1000, 44, time],
    ]);
    expect(readlinkSync(at("d/link"))).toBe("setuid");
    const disk = statusAt(AT.FDCWD, at("d/disk"));
    expect([disk?.major, disk?.minor]).toEqual([259, 70000]);
  });

  test("hard links share an inode, also through a link inside the layer", async () => {
    await unpack([
      { type: "file", path: "usr/lib/a", content: "x" },
      { type: "symlink", path: "lib", linkTarget: "usr/lib" },
      { type: "hardlink", path: "b", linkTarget: "lib/a" },
    ]);
    expect(statSync(at("b")).ino).toBe(statSync(at("usr/lib/a")).ino);
  });

  test("security.capability and user attributes are kept", async () => {
    const capability = Buffer.from("0100000200200000000000000000000000000000", "hex");
    await unpack([
      {
        type: "file",
        path: "ping",
        mode: 0o755,
        uid: 5,
        content: "x",
        xattrs: new Map<string, Uint8Array>([
          ["security.capability", capability],
          ["user.note", Buffer.from("a\nb\0c=d")],
        ]),
      },
    ]);
    expect(attribute(at("ping"), "security.capability")).toBe(capability.toString("latin1"));
    expect(attribute(at("ping"), "user.note")).toBe("a\nb\0c=d");
  });

  test("names that are no UTF-8 keep their bytes", async () => {
    await unpack([{ type: "file", path: "na\udcffme-é-😀", content: "x" }]);
    const [name] = readdirSync(directory, { encoding: "buffer" });
    expect(name?.toString("latin1")).toBe(
      Buffer.concat([Buffer.from("na"), Buffer.from([0xff]), Buffer.from("me-é-😀")]).toString(
        "latin1",
      ),
    );
  });

  test("a layer of one big file arrives whole", async () => {
    const content = Buffer.alloc(9_000_001, "0123456789abcdef!");
    const result = await unpack([{ type: "file", path: "big", content }]);
    expect(readFileSync(at("big")).equals(content)).toBe(true);
    expect(result).toMatchObject({ unpackedBytes: 9_000_001, entries: 1 });
  });
});

describe("compression and digests", () => {
  const archive = tarArchive([{ type: "file", path: "f", content: "content" }]);
  const sha256 = (bytes: Uint8Array): string =>
    `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const skippable = Buffer.from("502a4d18040000000badcafe", "hex");

  test.each([
    ["plain", archive],
    ["gzip", gzipSync(archive)],
    [
      "gzip in two members",
      Buffer.concat([gzipSync(archive.subarray(0, 600)), gzipSync(archive.subarray(600))]),
    ],
    ["zstd", zstdCompressSync(archive)],
    [
      "zstd after a skippable frame",
      Buffer.concat([skippable, zstdCompressSync(archive), skippable]),
    ],
  ])("a %s archive is unpacked, and both digests are checked", async (_, bytes) => {
    const expected = { diffId: sha256(archive), digest: sha256(bytes) };
    const result = await unpackLayer(chunks(bytes, 3), { directory, expected });
    expect(result).toEqual({
      diffId: expected.diffId,
      unpackedBytes: 7,
      entries: 1,
      tarBytes: archive.length,
    });
    expect(readFileSync(at("f"), "utf8")).toBe("content");
  });

  test("an archive can be a file", async () => {
    const path = join(scratch, "archive.tar.gz");
    writeFileSync(path, gzipSync(archive));
    let taken = 0;
    const onBytes = (bytes: number): void => {
      taken = bytes;
    };
    expect((await unpackLayer(path, { directory, onBytes })).diffId).toBe(sha256(archive));
    expect(taken).toBe(gzipSync(archive).length);
  });

  test("what follows the end mark belongs to the diff ID", async () => {
    const padded = Buffer.concat([archive, Buffer.alloc(10_240)]);
    expect((await unpackLayer(chunks(padded), { directory })).diffId).toBe(sha256(padded));
  });
});

describe("whiteouts", () => {
  test("a whiteout becomes a 0:0 device, without the layer below", async () => {
    await unpack([
      { type: "directory", path: "etc" },
      { type: "file", path: "etc/.wh.gone" },
    ]);
    expect(readdirSync(at("etc"))).toEqual(["gone"]);
    expect(hasWhiteout("etc/gone")).toBe(true);
  });

  test("an opaque mark becomes overlayfs's attribute, and neighbours in the layer stay", async () => {
    await unpack([
      { type: "file", path: "d/before", content: "x" },
      { type: "file", path: "d/.wh..wh..opq" },
      { type: "file", path: "d/after", content: "x" },
    ]);
    expect(readdirSync(at("d")).sort()).toEqual(["after", "before"]);
    expect(isOpaque("d")).toBe(true);
  });

  test.each([
    ["before", [0, 1]],
    ["after", [1, 0]],
  ])("a whiteout %s a directory of the same layer makes it opaque", async (_, order) => {
    const entries: Entry[] = [
      { type: "file", path: ".wh.d" },
      { type: "directory", path: "d" },
    ];
    await unpack([...order.map((index) => entries[index]!), { type: "file", path: "d/f" }]);
    expect(isOpaque("d")).toBe(true);
    expect(readdirSync(at("d"))).toEqual(["f"]);
  });

  test("a whiteout whose directory is needed afterwards becomes an opaque directory", async () => {
    await unpack([
      { type: "file", path: ".wh.d" },
      { type: "file", path: "d/f", content: "x" },
    ]);
    expect(isOpaque("d")).toBe(true);
  });

  test("a whiteout leaves a file of the same layer alone", async () => {
    await unpack([
      { type: "file", path: "f", content: "x" },
      { type: "file", path: ".wh.f" },
    ]);
    expect(readFileSync(at("f"), "utf8")).toBe("x");
  });

  test("aufs's own marks are left out", async () => {
    await unpack([
      { type: "file", path: ".wh..wh.aufs" },
      { type: "directory", path: ".wh..wh.plnk" },
    ]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("layers below one whose root is opaque are not seen", async () => {
    const lower = join(scratch, "lower");
    mkdirSync(lower);
    await unpack([{ type: "file", path: ".wh..wh..opq" }]);
    expect(visibleLayers([lower, directory])).toEqual([directory]);
    expect(visibleLayers([directory, lower])).toEqual([directory, lower]);
  });
});

describe.each([false, true])(
  "directories that the archive does not bring (from a file: %p)",
  (how) => {
    beforeEach(() => {
      fromFile = how;
    });
    afterEach(() => {
      fromFile = false;
    });

    test("are made 0755 for root when no lower layer has them", async () => {
      await unpack([{ type: "file", path: "a/b/c", uid: 7, mtimeNs: 5_000_000_000n }]);
      const status = statusAt(AT.FDCWD, at("a/b"));
      expect([status?.mode.toString(8), status?.uid, status?.mtimeNs]).toEqual([
        "40755",
        0,
        5_000_000_000n,
      ]);
    });

    test("an entry named / is the layer's root, as ./ is", async () => {
      await unpack([
        { type: "directory", path: "/", mode: 0o711 },
        { type: "file", path: "a" },
      ]);
      expect(statSync(directory).mode & 0o777).toBe(0o711);
      expect(existsSync(at("a"))).toBe(true);
    });

    test("get the attributes that the layers below show", async () => {
      const lower = join(scratch, "lower");
      const between = join(scratch, "between");
      await unpackLayer(
        chunks(
          tarArchive([
            { type: "directory", path: "./", mode: 0o711, uid: 3 },
            {
              type: "directory",
              path: "tmp",
              mode: 0o1777,
              uid: 9,
              mtimeNs: 77_000_000_000n,
              xattrs: new Map([["user.k", Buffer.from("v")]]),
            },
            { type: "directory", path: "hidden", mode: 0o700 },
          ]),
        ),
        { directory: lower },
      );
      await unpackLayer(chunks(tarArchive([{ type: "file", path: ".wh.hidden" }])), {
        directory: between,
      });
      await unpack(
        [
          { type: "file", path: "tmp/f" },
          { type: "file", path: "hidden/f" },
        ],
        {
          lowerDirectories: [lower, between],
        },
      );
      const tmp = statusAt(AT.FDCWD, at("tmp"));
      expect([tmp?.mode.toString(8), tmp?.uid, tmp?.mtimeNs]).toEqual([
        "41777",
        9,
        77_000_000_000n,
      ]);
      expect(attribute(at("tmp"), "user.k")).toBe("v");
      expect(statusAt(AT.FDCWD, at("hidden"))?.mode.toString(8)).toBe("40755");
      // The layer between has made a root of its own with the attributes of nothing below it.
      expect(statusAt(AT.FDCWD, directory)?.mode.toString(8)).toBe("40755");
    });

    test("are this layer's own once it brings them, in whatever order", async () => {
      const lower = join(scratch, "lower");
      mkdirSync(join(lower, "a/b"), { recursive: true, mode: 0o700 });
      mkdirSync(join(lower, "c"));
      await unpack(
        [
          { type: "file", path: "a/b/f" },
          { type: "directory", path: "a", mode: 0o750 },
          { type: "file", path: "c/d/f" },
          { type: "file", path: "c", content: "a file now" },
        ],
        { lowerDirectories: [lower] },
      );
      expect(statSync(at("a")).mode & 0o777).toBe(0o750);
      expect(statSync(at("a/b")).mode & 0o777).toBe(0o700);
      expect(readFileSync(at("c"), "utf8")).toBe("a file now");
    });

    test("are refused below what is a file in a lower layer", async () => {
      const lower = join(scratch, "lower");
      mkdirSync(lower);
      writeFileSync(join(lower, "etc"), "");
      const unpacking = unpack([{ type: "file", path: "etc/a/f" }], { lowerDirectories: [lower] });
      await expect(unpacking).rejects.toThrow("ENOTDIR");
      expect(existsSync(directory)).toBe(false);
    });

    test("are looked up through a link of a lower layer", async () => {
      const lower = join(scratch, "lower");
      mkdirSync(join(lower, "usr/lib"), { recursive: true, mode: 0o755 });
      symlinkSync("usr/lib", join(lower, "lib"));
      utimesSync(join(lower, "usr/lib"), 1, 2);
      await unpack([{ type: "file", path: "lib/x/libc.so", content: "x" }], {
        lowerDirectories: [lower],
      });
      expect(existsSync(at("lib"))).toBe(false);
      expect(readFileSync(at("usr/lib/x/libc.so"), "utf8")).toBe("x");
      expect(statusAt(AT.FDCWD, at("usr/lib"))?.mtimeNs).toBe(2_000_000_000n);
    });

    test("do not take overlayfs's attributes from below", async () => {
      const lower = join(scratch, "lower");
      mkdirSync(join(lower, "d"), { recursive: true });
      const d = openat2(AT.FDCWD, join(lower, "d"), { flags: O.RDONLY });
      fsetxattr(d, OPAQUE_ATTRIBUTE, Buffer.from("y"));
      closeDescriptor(d);
      await unpack([{ type: "file", path: "d/f" }], { lowerDirectories: [lower] });
      expect(isOpaque("d")).toBe(false);
    });
  },
);

describe("when it does not end well", () => {
  test("an error of the source is passed on and leaves nothing", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield tarArchive([{ type: "file", path: "f", content: "x" }]);
      throw new TypeError("the network is gone");
    }
    const failed = unpackLayer(broken(), { directory });
    await expect(failed).rejects.toThrow("the network is gone");
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("cancelling ends it, also while the source is silent, and leaves nothing", async () => {
    const controller = new AbortController();
    async function* silent(): AsyncGenerator<Uint8Array> {
      yield tarArchive([{ type: "file", path: "f", content: "x" }]).subarray(0, 1000);
      await new Promise(() => {});
    }
    const unpacking = unpackLayer(silent(), { directory, signal: controller.signal });
    while (!existsSync(directory)) await Bun.sleep(2);
    controller.abort(new TypeError("no longer wanted"));
    await expect(unpacking).rejects.toThrow("no longer wanted");
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("cancelling before it starts makes nothing", async () => {
    const unpacking = unpack([], { signal: AbortSignal.abort(new TypeError("never")) });
    await expect(unpacking).rejects.toThrow("never");
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("a directory that is there is refused and stays as it is", async () => {
    mkdirSync(directory);
    writeFileSync(at("mine"), "");
    await expect(unpack([])).rejects.toMatchObject({ code: "already-exists" });
    expect(readdirSync(directory)).toEqual(["mine"]);
  });

  test("an archive file that is not there leaves nothing", async () => {
    await expect(unpackLayer(join(scratch, "none.tar"), { directory })).rejects.toThrow("ENOENT");
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("no descriptor stays open", async () => {
    const open = (): number => readdirSync("/proc/self/fd").length;
    await unpack([{ type: "file", path: "a/b/c", content: "x" }]);
    const before = open();
    for (let round = 0; round < 3; round++) {
      rmSync(directory, { recursive: true });
      await unpack([{ type: "file", path: "a/b/c", content: "x" }]);
      const failed = unpackLayer(chunks(tarArchive([{ type: "file", path: "a/../b" }])), {
        directory: join(scratch, "failed"),
      });
      await expect(failed).rejects.toThrow("leads upwards");
    }
    expect(open()).toBeLessThanOrEqual(before + 2);
  });

  test("a link keeps its own attributes", async () => {
    await unpack([
      { type: "symlink", path: "l", linkTarget: "/nowhere", uid: 12, mtimeNs: 3_000_000_000n },
    ]);
    expect(lstatSync(at("l")).uid).toBe(12);
    expect(lstatSync(at("l")).mtimeMs).toBe(3000);
  });

  test("an archive without its last padding and end mark is whole when its digest fits", async () => {
    const bytes = tarArchive([{ type: "file", path: "a", content: "first" }]).subarray(0, 517);
    const diffId = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    await unpackLayer(chunks(bytes), { directory, expected: { diffId } });
    expect(readFileSync(at("a"), "utf8")).toBe("first");
  });

  test("an archive that needs the layers below waits until they are whole", async () => {
    const lower = join(scratch, "lower");
    const ready = Promise.withResolvers<void>();
    const unpacking = unpackLayer(chunks(tarArchive([{ type: "file", path: "etc/a" }])), {
      directory,
      lowerDirectories: [lower],
      lowerReady: ready.promise,
    });
    await Bun.sleep(100);
    mkdirSync(join(lower, "etc"), { recursive: true, mode: 0o700 });
    ready.resolve();
    await unpacking;
    expect(lstatSync(at("etc")).mode & 0o777).toBe(0o700);
  });

  test("files have their own group and mode, whatever their directory hands down", async () => {
    await unpack([
      { type: "file", path: "free", mode: 0o666 },
      { type: "directory", path: "d", mode: 0o2770, gid: 50 },
      { type: "file", path: "d/f", mode: 0o644 },
      { type: "file", path: "d/g", mode: 0o4755 },
    ]);
    const modes = ["free", "d/f", "d/g"].map((path) => statSync(at(path)).mode & 0o7777);
    expect(modes).toEqual([0o666, 0o644, 0o4755]);
    expect(["d/f", "d/g"].map((path) => statSync(at(path)).gid)).toEqual([0, 0]);
  });

  test("a layer is whole when its declared bytes are in, and its source has ended", async () => {
    const bytes = tarArchive([{ type: "file", path: "a", content: "first" }]);
    let hasEnded = false;
    async function* slowToEnd(): AsyncGenerator<Uint8Array> {
      yield bytes;
      await Bun.sleep(50);
      hasEnded = true;
    }
    await unpackLayer(slowToEnd(), { directory, sourceBytes: bytes.length });
    expect(hasEnded).toBe(true);
  });

  test.each([
    ["gives more than it declared", "more than the"],
    ["fails at its end", "the end"],
  ])("nothing stays of a layer whose source %s", async (what, message) => {
    const bytes = tarArchive([{ type: "file", path: "a", content: "first" }]);
    async function* source(): AsyncGenerator<Uint8Array> {
      yield bytes;
      if (what === "fails at its end") throw new Error("the end");
      yield bytes;
    }
    const unpacking = unpackLayer(source(), { directory, sourceBytes: bytes.length });
    await expect(unpacking).rejects.toThrow(message);
    expect(existsSync(directory)).toBe(false);
  });
});
