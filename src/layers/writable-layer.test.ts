import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeDescriptor, mkdirat, mknodat, openat2 } from "../kernel/files.ts";
import { AT, O, S_IF } from "../kernel/flags.ts";
import { syscall, syscallRaw } from "../kernel/syscall.ts";
import { diskUsage, makeWritableLayer, removeWritableLayer } from "./writable-layer.ts";

let scratch: string;
let directory: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tiffin-writable-"));
  directory = join(scratch, "rw");
});

afterEach(() => rmSync(scratch, { recursive: true, force: true }));

/** A chain of directories deeper than any path that a system call takes. */
function makeDeep(top: string, depth: number): void {
  let current = openat2(AT.FDCWD, top, { flags: O.RDONLY | O.DIRECTORY });
  for (let level = 0; level < depth; level++) {
    mkdirat(current, "a-name-of-some-length", 0o755);
    const next = openat2(current, "a-name-of-some-length", { flags: O.RDONLY | O.DIRECTORY });
    closeDescriptor(current);
    current = next;
  }
  closeDescriptor(current);
}

describe("making", () => {
  test("upper looks like the topmost layer's root, whatever the umask", () => {
    const layer = join(scratch, "layer");
    mkdirSync(layer);
    chmodSync(layer, 0o1711);
    chownSync(layer, 7, 8);
    makeWritableLayer(directory, layer);
    const upper = statSync(join(directory, "upper"));
    expect([upper.mode & 0o7777, upper.uid, upper.gid]).toEqual([0o1711, 7, 8]);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readdirSync(directory).sort()).toEqual(["upper", "work"]);
  });

  test("a second time changes nothing", () => {
    makeWritableLayer(directory);
    chmodSync(join(directory, "upper"), 0o700);
    writeFileSync(join(directory, "upper", "kept"), "");
    makeWritableLayer(directory);
    expect(statSync(join(directory, "upper")).mode & 0o777).toBe(0o700);
    expect(existsSync(join(directory, "upper", "kept"))).toBe(true);
  });
});

describe("counting", () => {
  test("counts each inode once, no directories, no whiteouts, no link's target", async () => {
    makeWritableLayer(directory);
    const upper = join(directory, "upper");
    mkdirSync(join(upper, "d"));
    writeFileSync(join(upper, "d", "a"), "x".repeat(5000));
    linkSync(join(upper, "d", "a"), join(upper, "b"));
    symlinkSync("/etc/passwd", join(upper, "l"));
    mknodat([AT.FDCWD, join(upper, "gone")], S_IF.CHR);
    const { sizeBytes, diskBytes } = await diskUsage(upper);
    expect(sizeBytes).toBe(5000 + "/etc/passwd".length);
    expect(diskBytes).toBeGreaterThanOrEqual(8192);
  });

  test("a tree without end is counted to a bound", async () => {
    makeWritableLayer(directory);
    makeDeep(join(directory, "upper"), 450);
    expect((await diskUsage(directory)).sizeBytes).toBe(0);
    await removeWritableLayer(directory);
  });
});

describe("removing", () => {
  test("removes deep trees, modes 000, devices and links, and leaves what links lead to", async () => {
    makeWritableLayer(directory);
    const victim = join(scratch, "victim");
    mkdirSync(victim);
    writeFileSync(join(victim, "precious"), "");
    symlinkSync(victim, join(directory, "upper", "link"));
    mkdirSync(join(directory, "work", "work", "x"), { recursive: true });
    chmodSync(join(directory, "work", "work"), 0);
    mknodat([AT.FDCWD, join(directory, "upper", "gone")], S_IF.CHR);
    makeDeep(join(directory, "upper"), 1500);
    await removeWritableLayer(directory);
    expect(readdirSync(scratch)).toEqual(["victim"]);
    expect(readdirSync(victim)).toEqual(["precious"]);
  });

  test("what is not there is fine", async () => {
    await removeWritableLayer(directory);
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("names that look like its own are removed as well", async () => {
    makeWritableLayer(directory);
    for (const name of [".removed-0", ".removed-1", "d/.removed-0/e", "d/x/y/.removed-2"]) {
      mkdirSync(join(directory, "upper", name), { recursive: true });
    }
    await removeWritableLayer(directory);
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("an immutable file goes as well", async () => {
    makeWritableLayer(directory);
    const path = join(directory, "upper", "file");
    writeFileSync(path, "");
    const file = openat2(AT.FDCWD, path, { flags: O.RDONLY });
    const flags = Buffer.alloc(8);
    flags.writeUInt32LE(0x10);
    // tmpfs and some others know no such flag; then this is an ordinary file.
    syscallRaw("ioctl", file, 0x40086602, flags);
    closeDescriptor(file);
    await removeWritableLayer(directory);
    expect(readdirSync(scratch)).toEqual([]);
  });

  test("something mounted inside is refused, and what is mounted stays", async () => {
    const mounted = join(directory, "upper", "a", "mounted");
    mkdirSync(mounted, { recursive: true });
    syscall("mount", "tiffin-test", mounted, "tmpfs", 0, null);
    const inside = openat2(AT.FDCWD, mounted, { flags: O.RDONLY });
    try {
      mkdirat(inside, "kept", 0o755);
      await expect(removeWritableLayer(directory)).rejects.toMatchObject({ code: "conflict" });
      closeDescriptor(openat2(inside, "kept", { flags: O.RDONLY }));
    } finally {
      closeDescriptor(inside);
      const away = readdirSync(scratch).find((name) => name.startsWith(".removed."));
      const where = Bun.spawnSync(["findmnt", "-rno", "TARGET"]).stdout.toString().split("\n");
      for (const target of where.filter((line) => line.startsWith(join(scratch, away ?? "rw")))) {
        syscall("umount2", target, 2);
      }
    }
  });
});
