import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isTiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  fchownat,
  fgetxattr,
  flistxattr,
  fsetxattr,
  linkat,
  mkdirat,
  mknodat,
  openat2,
  openat2Raw,
  readDirectory,
  readlinkat,
  renameat2,
  statusAt,
  statusOf,
  symlinkat,
  unlinkat,
  utimensat,
  writeAll,
} from "./files.ts";
import { AT, O, RENAME_NOREPLACE, RESOLVE, S_IF } from "./flags.ts";
import { errnoOf } from "./syscall.ts";

const scratch = mkdtempSync(join(tmpdir(), "tiffin-files-"));
const root = openat2(AT.FDCWD, scratch, { flags: O.RDONLY | O.DIRECTORY });
afterAll(() => {
  closeDescriptor(root);
  rmSync(scratch, { recursive: true });
});

function errno(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return errnoOf(error);
  }
}

test("status agrees with what stat(2) says", () => {
  writeFileSync(join(scratch, "file"), "12345");
  fchownat([root, "file"], 1000, 44);
  utimensat([root, "file"], -1_500_000_000n);
  const expected = statSync(join(scratch, "file"), { bigint: true });
  const status = statusAt(root, "file");
  expect(status).toMatchObject({
    mode: Number(expected.mode),
    uid: 1000,
    gid: 44,
    links: 1,
    inode: expected.ino,
    sizeBytes: 5,
    blocks: Number(expected.blocks),
    mtimeNs: -1_500_000_000n,
  });
  expect(statusAt(root, "missing")).toBeNull();
});

test("device numbers come back as they were given", () => {
  mknodat([root, "device"], S_IF.BLK | 0o600, [259, 70000]);
  expect(statusAt(root, "device")).toMatchObject({ major: 259, minor: 70000 });
});

test("openat2 follows a link inside and refuses one that leads out", () => {
  mkdirat(root, "d", 0o755);
  symlinkat("d", root, "inside");
  symlinkSync("/etc", join(scratch, "outside"));
  const how = { flags: O.RDONLY, resolve: RESOLVE.BENEATH };
  closeDescriptor(openat2(root, "inside", how));
  expect(errno(() => openat2(root, "outside", how))).toBe("EXDEV");
  expect(openat2Raw(root, "outside", { flags: O.RDONLY, resolve: RESOLVE.NO_SYMLINKS })).toBe(-40);
  expect(readlinkat(root, "outside")).toBe("/etc");
});

test("a directory lists its names with their types, again from the start each time", () => {
  const listed = readDirectory(root);
  expect(listed.map(({ name }) => name).sort()).toEqual([
    "d",
    "device",
    "file",
    "inside",
    "outside",
  ]);
  expect(listed.find(({ name }) => name === "d")?.type).toBe(S_IF.DIR);
  expect(readDirectory(root)).toHaveLength(listed.length);
});

test("attributes are set, listed and read, and absent ones are null", () => {
  const file = openat2(root, "file", { flags: O.RDWR });
  fsetxattr(file, "user.test", Buffer.from("a\0b"));
  expect(Buffer.from(fgetxattr(file, "user.test") ?? []).toString()).toBe("a\0b");
  expect(fgetxattr(file, "user.none")).toBeNull();
  expect(flistxattr(file)).toContain("user.test");
  writeAll(file, Buffer.from("end"), 10);
  expect(statusOf(file).sizeBytes).toBe(13);
  closeDescriptor(file);
});

test("links, renames and removals act on names in the directory", () => {
  linkat([root, "file"], [root, "second"]);
  expect(statusAt(root, "second")?.links).toBe(2);
  expect(errno(() => renameat2([root, "second"], [root, "file"], RENAME_NOREPLACE))).toBe("EEXIST");
  unlinkat(root, "second");
  unlinkat(root, "d", AT.REMOVEDIR);
  expect(statusAt(root, "d")).toBeNull();
});

test("a failed call says what was tried and why it failed", () => {
  let caught: unknown;
  try {
    mkdirat(root, "file", 0o755);
  } catch (error) {
    caught = error;
  }
  expect(isTiffinError(caught, "already-exists")).toBe(true);
  expect((caught as Error).message).toBe('Cannot make "file": mkdirat: EEXIST');
});

test("a name with a NUL byte is refused", () => {
  expect(errno(() => mkdirat(root, "a\0b", 0o755))).toBe("EINVAL");
});
