import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  closeDescriptor,
  fgetxattr,
  fsetxattrRaw,
  mknodat,
  openat2,
  readlinkat,
  statusAt,
} from "../kernel/files.ts";
import { AT, O, S_IF, S_IFMT } from "../kernel/flags.ts";
import { copyTree, type SourceDirectory, type SourceEntry } from "./copy-tree.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: copies of trees: owners and nodes need root");

let directory: string;
let source: string;
let target: string;

/** A source that trusts its paths: confining them is for whoever makes one. */
function sourceOf(path: string): SourceDirectory {
  const status = statusAt(AT.FDCWD, path);
  if (status === null) throw new Error(path);
  return {
    status,
    open: () => openat2(AT.FDCWD, path, { flags: O.RDONLY | O.DIRECTORY }),
    entries: () => readdirSync(path).map((name) => entryOf(join(path, name), name)),
  };
}

function entryOf(path: string, name: string): SourceEntry {
  const status = statusAt(AT.FDCWD, path);
  if (status === null) throw new Error(path);
  return {
    name,
    status,
    open: () => openat2(AT.FDCWD, path, { flags: O.RDONLY }),
    linkTarget: () => readlinkat(AT.FDCWD, path),
    directory: () => ((status.mode & S_IFMT) === S_IF.DIR ? sourceOf(path) : null),
  };
}

async function copy(): Promise<{ entries: number; bytes: number }> {
  const descriptor = openat2(AT.FDCWD, target, { flags: O.RDONLY | O.DIRECTORY });
  try {
    return await copyTree(sourceOf(source), descriptor);
  } finally {
    closeDescriptor(descriptor);
  }
}

function attributeOf(path: string, name: string): string | undefined {
  const file = openat2(AT.FDCWD, path, { flags: O.RDONLY });
  try {
    const value = fgetxattr(file, name);
    return value === null ? undefined : Buffer.from(value).toString();
  } finally {
    closeDescriptor(file);
  }
}

describe.skipIf(!isRoot)("a copy of a tree", () => {
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "tiffin-copy."));
    [source, target] = [join(directory, "source"), join(directory, "target")];
    mkdirSync(source);
    mkdirSync(target);
  });

  // Quicker than rmSync with what is deep.
  afterEach(() => void Bun.spawnSync(["rm", "-rf", directory]));

  test("keeps contents, owners, modes and times, the root's too", async () => {
    mkdirSync(join(source, "a/b"), { recursive: true });
    writeFileSync(join(source, "a/b/file"), "hello");
    chownSync(join(source, "a/b/file"), 999, 44);
    chmodSync(join(source, "a/b/file"), 0o4751);
    chownSync(join(source, "a"), 5, 6);
    chmodSync(join(source, "a"), 0o1700);
    chownSync(source, 70, 71);
    chmodSync(source, 0o2770);
    for (const name of ["a/b/file", "a/b", "a", "."]) utimesSync(join(source, name), 1000, 1000);
    expect(await copy()).toEqual({ entries: 3, bytes: 5 });
    expect(readFileSync(join(target, "a/b/file"), "utf8")).toBe("hello");
    for (const name of ["a/b/file", "a/b", "a", "."]) {
      const { uid, gid, mode, mtimeMs } = statSync(join(source, name));
      expect(statSync(join(target, name))).toMatchObject({ uid, gid, mode, mtimeMs });
    }
  });

  test("keeps links of both kinds, pipes and devices", async () => {
    writeFileSync(join(source, "one"), "x");
    mkdirSync(join(source, "d"));
    linkSync(join(source, "one"), join(source, "d/two"));
    linkSync(join(source, "one"), join(source, "three"));
    symlinkSync("/etc/shadow", join(source, "link"));
    lchownSync(join(source, "link"), 7, 8);
    mknodat([AT.FDCWD, join(source, "pipe")], S_IF.FIFO | 0o622);
    mknodat([AT.FDCWD, join(source, "null")], S_IF.CHR | 0o666, [1, 3]);
    chmodSync(join(source, "null"), 0o666);
    await copy();
    const inode = statSync(join(target, "one")).ino;
    expect(statSync(join(target, "d/two")).ino).toBe(inode);
    expect(statSync(join(target, "three"))).toMatchObject({ ino: inode, nlink: 3 });
    expect(readlinkSync(join(target, "link"))).toBe("/etc/shadow");
    expect(lstatSync(join(target, "link"))).toMatchObject({ uid: 7, gid: 8 });
    expect(lstatSync(join(target, "pipe")).isFIFO()).toBe(true);
    const { rdev, mode } = statSync(join(source, "null"));
    expect(lstatSync(join(target, "null"))).toMatchObject({ rdev, mode });
  });

  test("keeps attributes, but not overlayfs's marks", async () => {
    writeFileSync(join(source, "file"), "x");
    const attributes = { "user.mine": "1", "trusted.overlay.opaque": "y", "user.overlay.x": "z" };
    for (const name of ["file", "."]) {
      const file = openSync(join(source, name), "r");
      for (const [key, value] of Object.entries(attributes)) {
        expect(fsetxattrRaw(file, key, Buffer.from(value))).toBe(0);
      }
      closeDescriptor(file);
    }
    await copy();
    for (const name of ["file", "."]) {
      const path = join(target, name);
      expect(Object.keys(attributes).map((key) => attributeOf(path, key))).toEqual([
        "1",
        undefined,
        undefined,
      ]);
    }
  });

  test("keeps holes", async () => {
    const file = openSync(join(source, "sparse"), "w");
    writeSync(file, "start", 0);
    writeSync(file, "middle", 2_000_000);
    ftruncateSync(file, 8_000_000);
    closeDescriptor(file);
    await copy();
    const copied = statSync(join(target, "sparse"));
    expect(copied.size).toBe(8_000_000);
    expect(copied.blocks).toBeLessThan(1000);
    expect(readFileSync(join(target, "sparse")).equals(readFileSync(join(source, "sparse")))).toBe(
      true,
    );
  });

  test("copies what is larger than one step whole", async () => {
    const bytes = Buffer.alloc(5_000_001);
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt8((at / 4096) % 256, at);
    writeFileSync(join(source, "big"), bytes);
    await copy();
    expect(readFileSync(join(target, "big")).equals(bytes)).toBe(true);
  });

  test("leaves what somebody else has put into the target, and goes through no link of theirs", async () => {
    mkdirSync(join(source, "out"));
    writeFileSync(join(source, "out/file"), "image");
    writeFileSync(join(source, "mine"), "image");
    writeFileSync(join(source, "other"), "image");
    const outside = join(directory, "outside");
    mkdirSync(outside);
    symlinkSync(outside, join(target, "out"));
    symlinkSync(join(outside, "made"), join(target, "other"));
    writeFileSync(join(target, "mine"), "theirs");
    await copy();
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(join(target, "mine"), "utf8")).toBe("theirs");
    expect(existsSync(join(outside, "made"))).toBe(false);
  });

  test("refuses a tree that is too deep", async () => {
    mkdirSync(join(source, Array.from({ length: 410 }, () => "d").join("/")), { recursive: true });
    await expect(copy()).rejects.toMatchObject({ code: "invalid-argument" });
  });
});
