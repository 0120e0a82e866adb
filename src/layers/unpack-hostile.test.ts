import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { TiffinError } from "../base/error.ts";
import { closeDescriptor, flistxattr, openat2 } from "../kernel/files.ts";
import { AT, O } from "../kernel/flags.ts";
import { paxRecord, tarArchive, type TarEntryInput, tarHeader, tarPadding } from "./tar-writer.ts";
import { unpackLayer, type UnpackOptions } from "./unpack.ts";

type Entry = TarEntryInput & { readonly content?: string };

let scratch: string;
let directory: string;
let victim: string;

beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), "tiffin-hostile-"));
  directory = join(scratch, "layer");
  victim = join(scratch, "victim");
  mkdirSync(victim);
  writeFileSync(join(victim, "file"), "precious");
});

afterEach(() => {
  // Whatever happened: nothing outside was touched, and only the layer may be there besides.
  expect(readFileSync(join(victim, "file"), "utf8")).toBe("precious");
  expect(readdirSync(victim)).toEqual(["file"]);
  expect(readdirSync(scratch).filter((name) => name !== "layer" && name !== "moved")).toEqual([
    "victim",
  ]);
  rmSync(scratch, { recursive: true, force: true });
});

async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function unpack(
  archive: Uint8Array | readonly Entry[],
  options: Partial<UnpackOptions> = {},
): Promise<void> {
  const bytes = archive instanceof Uint8Array ? archive : tarArchive(archive);
  await unpackLayer(whole(bytes), { directory, ...options });
}

/** The error of an unpacking that must fail and leave nothing. */
async function refusal(
  archive: Uint8Array | readonly Entry[],
  options: Partial<UnpackOptions> = {},
): Promise<TiffinError> {
  let error: unknown;
  try {
    await unpack(archive, options);
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(TiffinError);
  expect(existsSync(directory)).toBe(false);
  return error as TiffinError;
}

async function expectRefusal(
  archive: Uint8Array | readonly Entry[],
  message: string,
  options: Partial<UnpackOptions> = {},
): Promise<void> {
  const error = await refusal(archive, options);
  expect(error.code).toBe("invalid-argument");
  expect(error.message).toBe(message);
}

const before: Entry = { type: "file", path: "before", content: "written before the hostile entry" };

describe("names", () => {
  test("an entry that leads upwards is refused", async () => {
    await expectRefusal(
      [before, { type: "file", path: "../victim/file", content: "evil" }],
      'Cannot unpack entry "../victim/file" (at byte 1024): the name "../victim/file" leads upwards',
    );
  });

  test("an entry that leads upwards from the middle is refused", async () => {
    await expectRefusal(
      [{ type: "file", path: "a/../../victim/file" }],
      'Cannot unpack entry "a/../../victim/file" (at byte 0): the name "a/../../victim/file" leads upwards',
    );
  });

  test("an absolute entry is refused", async () => {
    const path = join(victim, "file");
    await expectRefusal(
      [{ type: "file", path }],
      `Cannot unpack entry ${JSON.stringify(path)} (at byte 0): the name ${JSON.stringify(path)} is absolute`,
    );
  });

  test("an absolute name in a PAX header is refused", async () => {
    const path = `${victim}/${"n".repeat(200)}`;
    expect((await refusal([{ type: "directory", path }])).message).toContain("is absolute");
  });

  test("an empty name is refused", async () => {
    await expectRefusal(
      [{ type: "file", path: "" }],
      'Cannot unpack entry "" (at byte 0): its name is empty',
    );
  });

  test("a name that is too long for a file system is refused", async () => {
    const error = await refusal([{ type: "file", path: "n".repeat(256) }]);
    expect(error.code).toBe("invalid-argument");
    expect(error.details?.["errno"]).toBe("ENAMETOOLONG");
  });

  test.each([".wh.", ".wh..", ".wh..."])(
    "a whiteout %s that names no file is refused",
    async (name) => {
      await expectRefusal(
        [{ type: "file", path: `a/${name}` }],
        `Cannot unpack entry "a/${name}" (at byte 0): "${name}" deletes no name`,
      );
    },
  );
});

describe("links", () => {
  test("a file through a link that climbs out of the layer is refused", async () => {
    await expectRefusal(
      [
        { type: "symlink", path: "out", linkTarget: "../victim" },
        { type: "file", path: "out/file", content: "evil" },
      ],
      'Cannot unpack entry "out/file" (at byte 512): a link in "out" leads out of the layer',
    );
  });

  test("a file through an absolute link lands inside the layer", async () => {
    await unpack([
      { type: "symlink", path: "out", linkTarget: victim },
      { type: "file", path: "out/file", content: "evil" },
    ]);
    expect(readFileSync(join(directory, victim, "file"), "utf8")).toBe("evil");
  });

  test("a file over a link replaces the link and leaves its target alone", async () => {
    await unpack([
      { type: "symlink", path: "file", linkTarget: join(victim, "file") },
      { type: "file", path: "file", content: "evil" },
    ]);
    expect(readFileSync(join(directory, "file"), "utf8")).toBe("evil");
    expect(lstatSync(join(directory, "file")).isFile()).toBe(true);
  });

  test("a directory over a link replaces the link", async () => {
    await unpack([
      { type: "symlink", path: "d", linkTarget: victim },
      { type: "directory", path: "d", mode: 0o777 },
      { type: "file", path: "d/new", content: "x" },
    ]);
    expect(lstatSync(join(directory, "d")).isDirectory()).toBe(true);
  });

  test("links that lead to each other are refused", async () => {
    const error = await refusal([
      { type: "symlink", path: "a", linkTarget: "b" },
      { type: "symlink", path: "b", linkTarget: "a" },
      { type: "file", path: "a/file" },
    ]);
    expect(error.code).toBe("invalid-argument");
    expect(error.details?.["errno"]).toBe("ELOOP");
  });

  test("a hard link that leads upwards is refused", async () => {
    await expectRefusal(
      [{ type: "hardlink", path: "h", linkTarget: "../victim/file" }],
      'Cannot unpack entry "h" (at byte 0): the name "../victim/file" leads upwards',
    );
  });

  test("a hard link to an absolute name is refused", async () => {
    const error = await refusal([
      { type: "hardlink", path: "h", linkTarget: join(victim, "file") },
    ]);
    expect(error.message).toContain("is absolute");
  });

  test("a hard link through a link to the outside finds nothing", async () => {
    await expectRefusal(
      [
        { type: "symlink", path: "out", linkTarget: victim },
        { type: "hardlink", path: "h", linkTarget: "out/file" },
      ],
      'Cannot unpack entry "h" (at byte 512): it is a hard link to "out/file", which the layer does not have',
    );
  });

  test("a hard link to a link that leads outside links the link itself", async () => {
    await unpack([
      { type: "symlink", path: "out", linkTarget: join(victim, "file") },
      { type: "hardlink", path: "h", linkTarget: "out" },
      { type: "file", path: "h", content: "evil" },
    ]);
    expect(lstatSync(join(directory, "h")).isFile()).toBe(true);
  });

  test("a hard link to a directory is refused", async () => {
    await expectRefusal(
      [
        { type: "directory", path: "d" },
        { type: "hardlink", path: "h", linkTarget: "d" },
      ],
      'Cannot unpack entry "h" (at byte 512): it is a hard link to a directory',
    );
  });

  test("a hard link to itself changes nothing", async () => {
    await unpack([before, { type: "hardlink", path: "before", linkTarget: "./before" }]);
    expect(readFileSync(join(directory, "before"), "utf8")).toContain("written before");
  });
});

describe("changes while unpacking", () => {
  /** An archive in two parts; `between` runs when the first part is on disk. */
  async function* interrupted(
    first: readonly Entry[],
    second: readonly Entry[],
    between: () => void,
  ): AsyncGenerator<Uint8Array> {
    const marker: Entry = { type: "file", path: "marker", content: "x" };
    const start = tarArchive([...first, marker]);
    yield start.subarray(0, start.length - 1024);
    while (!existsSync(join(directory, "marker"))) await Bun.sleep(5);
    between();
    yield tarArchive(second);
  }

  test("a directory replaced by a link to the outside is not followed", async () => {
    const source = interrupted(
      [
        { type: "directory", path: "a" },
        { type: "directory", path: "b" },
      ],
      [
        { type: "file", path: "a/file", content: "evil" },
        { type: "file", path: "a/deep/file", content: "evil" },
      ],
      () => {
        renameSync(join(directory, "a"), join(directory, "moved"));
        symlinkSync(victim, join(directory, "a"));
      },
    );
    await unpackLayer(source, { directory });
    expect(readFileSync(join(directory, victim, "file"), "utf8")).toBe("evil");
  });

  test("an open parent that was moved away keeps its files, and its name is not followed", async () => {
    const source = interrupted(
      [
        { type: "directory", path: "a" },
        { type: "file", path: "a/first", content: "1" },
      ],
      [{ type: "file", path: "a/file", content: "evil" }],
      () => {
        renameSync(join(directory, "a"), join(directory, "moved"));
        symlinkSync(victim, join(directory, "a"));
      },
    );
    await unpackLayer(source, { directory });
    expect(readFileSync(join(directory, "moved", "file"), "utf8")).toBe("evil");
  });

  test("a link put in place of a file that comes is replaced, not written through", async () => {
    const source = interrupted([], [{ type: "file", path: "f", content: "evil" }], () =>
      symlinkSync(join(victim, "file"), join(directory, "f")),
    );
    await unpackLayer(source, { directory });
    expect(readFileSync(join(directory, "f"), "utf8")).toBe("evil");
  });
});

describe("bombs", () => {
  test("more entries than allowed are refused", async () => {
    const entries = Array.from({ length: 11 }, (_, n): Entry => ({ type: "file", path: `f${n}` }));
    await expectRefusal(
      entries,
      'Cannot unpack entry "f10" (at byte 5120): the layer has more than 10 entries',
      { limits: { entries: 10 } },
    );
  });

  test("more bytes than allowed are refused before they are written", async () => {
    await expectRefusal(
      [{ type: "file", path: "big", content: "x".repeat(5000) }],
      "Cannot unpack layer: it has more than 4000 bytes uncompressed",
      { limits: { bytes: 4000 } },
    );
  });

  test.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ] as const)("a small %s archive that inflates without end is refused", async (_, compress) => {
    const zeros = Buffer.alloc(64 * 1024 * 1024);
    await expectRefusal(
      compress(zeros),
      "Cannot unpack layer: it has more than 1000000 bytes uncompressed",
      { limits: { bytes: 1_000_000 } },
    );
  });

  test("a sparse file that claims to be huge is refused", async () => {
    // `1.0` in PAX form: 8 EiB less one, without data.
    const pax = paxHeader({
      "GNU.sparse.major": "1",
      "GNU.sparse.minor": "0",
      "GNU.sparse.realsize": String(Number.MAX_SAFE_INTEGER),
      "GNU.sparse.name": "huge",
    });
    const map = Buffer.alloc(512);
    map.write("0\n");
    const file = tarHeader({ type: "file", path: "huge", sizeBytes: 512 });
    const archive = Buffer.concat([pax, file, map, Buffer.alloc(1024)]);
    const error = await refusal(archive);
    expect(error.code).toBe("invalid-argument");
    expect(error.message).toContain("the files of the layer take more than");
  });

  test("a path that is too deep is refused", async () => {
    await expectRefusal(
      [{ type: "directory", path: "d/d/d/d/d" }],
      'Cannot unpack entry "d/d/d/d/d/" (at byte 0): it is deeper than 4 directories',
      { limits: { depth: 4 } },
    );
  });

  test("a path that gets too deep through a link is refused", async () => {
    const error = await refusal(
      [
        { type: "directory", path: "a/a/a" },
        { type: "symlink", path: "l", linkTarget: "a/a/a" },
        { type: "directory", path: "l/b/b" },
      ],
      { limits: { depth: 4 } },
    );
    expect(error.message).toContain("deeper than 4 directories");
  });

  test("a path that is too long is refused", async () => {
    const path = Array.from({ length: 30 }, () => "n".repeat(200)).join("/");
    const error = await refusal([{ type: "file", path }]);
    expect(error.message).toContain("its name is longer than 4095 bytes");
  });
});

function paxHeader(fields: Readonly<Record<string, string>>): Uint8Array {
  const all = Object.entries(fields).map(([key, value]) => paxRecord(key, Buffer.from(value)));
  const body = Buffer.concat(all);
  const header = Buffer.from(tarHeader({ type: "file", path: "pax", sizeBytes: body.length }));
  header.write("x", 156);
  header.write("        ", 148);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return Buffer.concat([header, body, tarPadding(body.length)]);
}

describe("damage", () => {
  const archive = tarArchive([
    before,
    { type: "file", path: "n".repeat(150), content: "y".repeat(700) },
  ]);

  test.each([
    ["in the first header", 100],
    ["in the first file", 530],
    ["in the padding after a file", 600],
    ["in a PAX header", 1100],
    ["in a PAX header's content", 1600],
    ["after a PAX header", 2048],
    ["in the second file", 2700],
    ["after the last file", 3584],
  ])("an archive that ends %s is refused", async (_, bytes) => {
    const error = await refusal(archive.subarray(0, bytes));
    expect(error.code).toBe("invalid-argument");
    expect(error.message).toMatch(
      /^Cannot read archive: it ends (in the middle of an entry|without its end mark) \(at byte \d+\)$/,
    );
    expect(error.hint).toBe("The archive is truncated: get it again");
  });

  test("an archive without its end mark is taken when its digest fits", async () => {
    const cut = archive.subarray(0, archive.length - 1024);
    const diffId = `sha256:${createHash("sha256").update(cut).digest("hex")}`;
    await unpack(cut, { expected: { diffId } });
    expect(readdirSync(directory)).toHaveLength(2);
  });

  test("an empty archive is refused", async () => {
    await expectRefusal(
      new Uint8Array(),
      "Cannot read archive: it ends without its end mark (at byte 0)",
    );
  });

  test.each([
    ["gzip", gzipSync],
    ["zstd", zstdCompressSync],
  ] as const)("truncated %s data is refused at every length", async (_, compress) => {
    const packed = compress(archive);
    for (const length of [5, 30, packed.length - 20]) {
      const error = await refusal(packed.subarray(0, length));
      expect(error.code).toBe("invalid-argument");
    }
  });

  test("damaged gzip data is refused", async () => {
    const packed = gzipSync(archive);
    packed.fill(0xff, 20, 60);
    expect((await refusal(packed)).message).toContain("its gzip data is damaged or truncated");
  });

  test("a header with a wrong checksum is refused", async () => {
    const damaged = Buffer.from(archive);
    damaged[3] = 0x58;
    const error = await refusal(damaged);
    expect(error.message).toMatch(
      /^Cannot read archive: a header's checksum is \d+ and should be \d+ \(at byte 0\)$/,
    );
  });

  test("what is no tar archive is refused", async () => {
    const error = await refusal(Buffer.alloc(2000, "this is no archive "));
    expect(error.message).toContain("Cannot read archive: ");
  });

  test("a format that is not supported is named", async () => {
    await expectRefusal(
      Buffer.from("fd377a585a0000", "hex"),
      "Cannot read archive: it is compressed with xz",
    );
  });

  test.each(["diffId", "digest"] as const)("a wrong %s is refused", async (which) => {
    const wrong = `sha256:${"0".repeat(64)}`;
    const actual = `sha256:${createHash("sha256").update(archive).digest("hex")}`;
    await expectRefusal(
      archive,
      `Cannot unpack layer: its ${which === "diffId" ? "diff ID" : which} is ${actual} and should be ${wrong}`,
      { expected: { [which]: wrong } },
    );
  });
});

describe("conflicting entries", () => {
  test("of two entries with one name the later holds", async () => {
    await unpack([
      { type: "file", path: "f", content: "first" },
      { type: "file", path: "f", content: "second", mode: 0o600 },
    ]);
    expect(readFileSync(join(directory, "f"), "utf8")).toBe("second");
    expect(lstatSync(join(directory, "f")).mode & 0o777).toBe(0o600);
  });

  test("a file takes the place of a directory and all below it", async () => {
    await unpack([
      { type: "file", path: "d/e/f", content: "x" },
      { type: "file", path: "d", content: "file" },
    ]);
    expect(readFileSync(join(directory, "d"), "utf8")).toBe("file");
  });

  test("a directory takes the place of a file", async () => {
    await unpack([
      { type: "file", path: "d", content: "file" },
      { type: "directory", path: "d" },
      { type: "file", path: "d/f", content: "x" },
    ]);
    expect(readFileSync(join(directory, "d/f"), "utf8")).toBe("x");
  });

  test("a file below a file is refused", async () => {
    const error = await refusal([
      { type: "file", path: "d", content: "file" },
      { type: "file", path: "d/f", content: "x" },
    ]);
    expect(error.code).toBe("invalid-argument");
    expect(error.message).toContain('Cannot unpack entry "d/f" (at byte 1024)');
    expect(error.details?.["errno"]).toBe("ENOTDIR");
  });

  test("a root that is no directory is refused", async () => {
    await expectRefusal(
      [{ type: "symlink", path: "./", linkTarget: victim }],
      'Cannot unpack entry "./" (at byte 0): the layer\'s root is a symlink',
    );
  });
});

describe("values", () => {
  test("the id that means no change to the kernel is refused", async () => {
    await expectRefusal(
      [{ type: "file", path: "f", uid: 0xffffffff }],
      'Cannot unpack entry "f" (at byte 1024): 4294967295 is no user or group id',
    );
  });

  test("overlayfs's own attributes are left out", async () => {
    await unpack([
      {
        type: "directory",
        path: "d",
        xattrs: new Map([
          ["trusted.overlay.redirect", Buffer.from("/etc")],
          ["user.overlay.opaque", Buffer.from("y")],
          ["user.kept", Buffer.from("1")],
        ]),
      },
    ]);
    const d = openat2(AT.FDCWD, join(directory, "d"), { flags: O.RDONLY });
    const names = flistxattr(d).filter((name) => name !== "security.selinux");
    closeDescriptor(d);
    expect(names).toEqual(["user.kept"]);
  });
});
