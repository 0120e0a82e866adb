import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, openSync, closeSync, rmSync, statSync, lstatSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fsetxattrRaw } from "../kernel/files.ts";
import type { TarEntry } from "./tar-entry.ts";
import { TreeWriter } from "./tree-writer.ts";

const ENTRY: TarEntry = {
  type: "file",
  path: "",
  linkTarget: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  userName: "",
  groupName: "",
  mtimeNs: 1_000_000_000n,
  sizeBytes: 4,
  isSparse: false,
  deviceMajor: 0,
  deviceMinor: 0,
  xattrs: new Map(),
  position: 0,
};

/** acl(5) as an attribute: a version, then tag, permissions and id of each entry: everything for the owner, nothing for others. */
const OWNER_ALONE = Buffer.from("0200000001000700ffffffff04000000ffffffff20000000ffffffff", "hex");

let directory: string;
let umask: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-writer."));
  umask = process.umask();
});
afterEach(() => {
  process.umask(umask);
  rmSync(directory, { recursive: true });
});

/** Unpacks files of these modes, in this order. */
function write(files: readonly (readonly [path: string, mode: number])[]): void {
  const descriptor = openSync(directory, "r");
  const place = { root: null, directory: descriptor, path: directory, idBase: 0 } as const;
  const writer = new TreeWriter({ ...place, owner: "maker", keepsKinds: true });
  try {
    for (const [path, mode] of files) {
      writer.take({ kind: "entry", entry: { ...ENTRY, path, mode } });
      writer.take({ kind: "data", data: Buffer.from("text"), offset: 0 });
      writer.take({ kind: "end" });
    }
    writer.finish();
  } finally {
    writer.close();
    closeSync(descriptor);
  }
}

const modeOf = (path: string): number => lstatSync(join(directory, path)).mode & 0o7777;

describe("what is unpacked", () => {
  test.each([0o000, 0o022, 0o077])("has its mode whatever the umask: %o", (mask) => {
    const files = [0o644, 0o644, 0o666, 0o666, 0o755, 0o4755, 0o600, 0o666, 0o444, 0o000].map(
      (mode, index) => [`${index}`, mode] as const,
    );
    process.umask(mask);
    write(files);
    expect(files.map(([path]) => modeOf(path))).toEqual(files.map(([, mode]) => mode));
    expect(statSync(join(directory, "1")).size).toBe(4);
  });

  test("has its mode in each directory, also where an access list gives another", () => {
    for (const name of ["plain", "listed"]) mkdirSync(join(directory, name));
    const listed = openSync(join(directory, "listed"), "r");
    const set = fsetxattrRaw(listed, "system.posix_acl_default", OWNER_ALONE);
    closeSync(listed);
    if (set < 0) console.log("skipped: default access lists: the file system has none");
    const names = ["plain/a", "listed/a", "plain/b", "listed/b"];
    write(names.map((path) => [path, 0o664] as const));
    expect(names.map(modeOf)).toEqual([0o664, 0o664, 0o664, 0o664]);
  });
});
