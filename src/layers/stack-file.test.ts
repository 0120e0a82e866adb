import { afterEach, beforeEach, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { closeDescriptor, fsetxattr, mknodat, openat2 } from "../kernel/files.ts";
import { AT, O, S_IF } from "../kernel/flags.ts";
import { readStackFile } from "./stack-file.ts";
import { OPAQUE_ATTRIBUTE } from "./stack.ts";

let scratch: string;
let layers: string[];

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tiffin-stack-"));
  layers = ["0", "1", "upper"].map((name) => join(scratch, name));
  for (const layer of layers) mkdirSync(layer);
  writeFileSync(join(scratch, "secret"), "secret");
});

afterEach(() => rmSync(scratch, { recursive: true }));

function put(layer: number, path: string, content: string): void {
  const full = join(layers[layer]!, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, content);
}

function link(layer: number, path: string, target: string): void {
  const full = join(layers[layer]!, path);
  mkdirSync(dirname(full), { recursive: true });
  symlinkSync(target, full);
}

function whiteout(layer: number, path: string): void {
  mkdirSync(dirname(join(layers[layer]!, path)), { recursive: true });
  mknodat([AT.FDCWD, join(layers[layer]!, path)], S_IF.CHR);
}

function opaque(layer: number, path: string): void {
  const full = join(layers[layer]!, path);
  mkdirSync(full, { recursive: true });
  const directory = openat2(AT.FDCWD, full, { flags: O.RDONLY });
  fsetxattr(directory, OPAQUE_ATTRIBUTE, Buffer.from("y"));
  closeDescriptor(directory);
}

function read(path: string): string | null {
  const bytes = readStackFile(layers, path);
  return bytes === null ? null : Buffer.from(bytes).toString();
}

test("the topmost file holds, and what only a lower layer has is seen", () => {
  put(0, "etc/passwd", "lowest");
  put(1, "etc/passwd", "middle");
  put(0, "etc/group", "group");
  put(2, "etc/other", "upper");
  expect(read("/etc/passwd")).toBe("middle");
  expect(read("etc/group")).toBe("group");
  expect(read("/etc/../etc/./other")).toBe("upper");
  expect(read("/etc/none")).toBeNull();
  expect(read("/none/passwd")).toBeNull();
});

test("a whiteout hides a file, and a directory with all below it", () => {
  put(0, "etc/passwd", "lowest");
  put(0, "dir/file", "lowest");
  whiteout(1, "etc/passwd");
  whiteout(2, "dir");
  expect(read("/etc/passwd")).toBeNull();
  expect(read("/dir/file")).toBeNull();
});

test("an opaque directory hides what lower layers have in it", () => {
  put(0, "etc/passwd", "lowest");
  put(1, "etc/group", "middle");
  opaque(1, "etc");
  expect(read("/etc/passwd")).toBeNull();
  expect(read("/etc/group")).toBe("middle");
});

test("a file hides a directory, and a directory of a lower layer does not shine through", () => {
  put(0, "etc/passwd", "lowest");
  put(1, "etc", "a file");
  put(2, "etc/group", "upper");
  expect(read("/etc/passwd")).toBeNull();
  expect(read("/etc/group")).toBe("upper");
  rmSync(join(layers[2]!, "etc"), { recursive: true });
  expect(read("/etc/passwd")).toBeNull();
});

test("links are followed across layers and never out of the stack", () => {
  put(0, "usr/share/passwd", "shared");
  link(1, "etc", "usr/etc");
  link(2, "usr/etc/passwd", "/usr/share/passwd");
  link(2, "out", "../../../../secret");
  link(2, "away", join(scratch, "secret"));
  link(2, "loop", "loop");
  expect(read("/etc/passwd")).toBe("shared");
  expect(read("/out")).toBeNull();
  expect(read("/away")).toBeNull();
  expect(() => read("/loop")).toThrow("ELOOP");
  put(0, "secret", "inside");
  expect(read("/out")).toBe("inside");
});

test("what is no regular file, or too large, is refused", () => {
  mknodat([AT.FDCWD, join(layers[0]!, "pipe")], S_IF.FIFO | 0o600);
  put(0, "big", "x".repeat(2000));
  mkdirSync(join(layers[0]!, "dir"));
  expect(() => read("/pipe")).toThrow('Cannot read "/pipe" in the image: it is no regular file');
  expect(() => read("/dir")).toThrow("it is no regular file");
  expect(() => readStackFile(layers, "/big", 1999)).toThrow("it is larger than 1999 bytes");
  expect(readStackFile(layers, "/big", 2000)).toHaveLength(2000);
});

test("a file that only root may read is read", () => {
  put(0, "etc/shadow", "x");
  chmodSync(join(layers[0]!, "etc/shadow"), 0);
  expect(read("/etc/shadow")).toBe("x");
});
