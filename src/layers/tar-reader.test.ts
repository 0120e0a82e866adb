import { afterAll, describe, expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TarEntry, readTar, TarDecoder } from "./tar-reader.ts";
import { paxRecord, TAR_END, tarArchive, tarHeader } from "./tar-writer.ts";

interface Found {
  readonly entry: TarEntry;
  /** Content with its holes. */
  readonly content: Buffer;
}

function decode(bytes: Uint8Array, chunkBytes = bytes.length): Found[] {
  const decoder = new TarDecoder();
  const found: Found[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    for (const event of decoder.push(bytes.subarray(at, at + chunkBytes))) {
      if (event.kind === "entry") {
        found.push({ entry: event.entry, content: Buffer.alloc(event.entry.sizeBytes) });
      } else if (event.kind === "data") found.at(-1)?.content.set(event.data, event.offset);
    }
  }
  decoder.finish();
  return found;
}

/** A header with fields overwritten and its sum made right. */
function header(input: Parameters<typeof tarHeader>[0], patch: (block: Buffer) => void): Buffer {
  const block = Buffer.from(tarHeader(input));
  patch(block);
  block.write("        ", 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

function pax(body: Uint8Array | string, type = "x"): Buffer {
  const bytes = Buffer.from(body as string);
  const block = header({ type: "file", path: "pax", sizeBytes: bytes.length }, (b) =>
    b.write(type, 156),
  );
  return Buffer.concat([block, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A PAX header of these records. */
function records(fields: Readonly<Record<string, string>>): Buffer {
  const all = Object.entries(fields).map(([key, value]) => paxRecord(key, Buffer.from(value)));
  return pax(Buffer.concat(all));
}

function archive(...parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...parts, TAR_END]);
}

const file = (path: string): Uint8Array => tarHeader({ type: "file", path });

describe("archives of GNU tar", () => {
  const scratch = mkdtempSync(join(tmpdir(), "tiffin-tar-"));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const tree = join(scratch, "tree");
  mkdirSync(join(tree, "d"), { recursive: true });
  const long = "n".repeat(120);
  writeFileSync(join(tree, "d", long), "long");
  symlinkSync("t".repeat(130), join(tree, "d", "link"));
  // Six runs of data, more than fit into the first header of the old form.
  const sparse = openSync(join(tree, "sparse"), "w");
  for (let run = 0; run < 30; run++) writeSync(sparse, `run ${run}`, run * 200_000 + 100_000);
  const hasTar = Bun.which("tar") !== null;

  test.skipIf(!hasTar).each([
    ["old GNU", ["--format=gnu", "-S"]],
    ["PAX 1.0", ["--format=pax", "-S"]],
    ["PAX 0.1", ["--format=pax", "-S", "--sparse-version=0.1"]],
    ["PAX 0.0", ["--format=pax", "-S", "--sparse-version=0.0"]],
  ])("long names and sparse files in %s form are read in chunks of any size", (_, options) => {
    const made = Bun.spawnSync(["tar", ...options, "-C", tree, "-cf", "-", "."]);
    expect(made.exitCode).toBe(0);
    for (const chunkBytes of [1, 511, 70_000]) {
      const found = new Map(decode(made.stdout, chunkBytes).map((one) => [one.entry.path, one]));
      expect(found.get(`./d/${long}`)?.content.toString()).toBe("long");
      expect(found.get("./d/link")?.entry.linkTarget).toBe("t".repeat(130));
      const read = found.get("./sparse");
      expect(read?.entry.isSparse).toBe(true);
      expect(read?.content.equals(readFileSync(join(tree, "sparse")))).toBe(true);
    }
  });
});

describe("headers", () => {
  test("the old form of a directory is a file with a slash", () => {
    const block = header({ type: "file", path: "d/" }, (b) => {
      b.fill(0, 257, 512);
      b[156] = 0;
    });
    expect(decode(archive(block))[0]?.entry).toMatchObject({ type: "directory", path: "d/" });
  });

  test("a ustar prefix comes in front of the name, GNU's times do not", () => {
    const path = `${"p".repeat(100)}/${"n".repeat(90)}`;
    expect(decode(archive(file(path)))[0]?.entry.path).toBe(path);
    const gnu = header({ type: "file", path: "name" }, (b) => {
      b.write("ustar  \0", 257, "latin1");
      b.write("14000000000", 345);
    });
    expect(decode(archive(gnu))[0]?.entry.path).toBe("name");
  });

  test("base-256 numbers are read, negative times too", () => {
    const block = header({ type: "file", path: "f" }, (b) => {
      b.write("800000000000010000", 108, "hex");
      b.write("8000000003000001", 108, "hex");
      b.write("fffffffffffffffffffffffe", 136, "hex");
    });
    expect(decode(archive(block))[0]?.entry).toMatchObject({
      uid: 0x3000001,
      mtimeNs: -2_000_000_000n,
    });
  });

  test("a sum of signed bytes is accepted, as old programs wrote it", () => {
    const block = Buffer.from(file("é"));
    block.write("        ", 148);
    const sum = block.reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0);
    block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect(decode(archive(block))[0]?.entry.path).toBe("é");
  });

  test("the size of a link is not taken for data that follows", () => {
    const link = header({ type: "hardlink", path: "l", linkTarget: "f" }, (b) =>
      b.write("00000001000", 124),
    );
    expect(decode(archive(link, file("next"))).map(({ entry }) => entry.path)).toEqual([
      "l",
      "next",
    ]);
  });

  test("a volume label is skipped", () => {
    const label = header({ type: "file", path: "label" }, (b) => b.write("V", 156));
    expect(decode(archive(label, file("f"))).map(({ entry }) => entry.path)).toEqual(["f"]);
  });

  test.each([
    ["an unknown type", (b: Buffer) => b.write("Z", 156), 'entry "f" is of the unknown type "Z"'],
    ["a size that is no number", (b: Buffer) => b.write("12x", 124), 'the size "12x'],
    [
      "a size beyond what is exact",
      (b: Buffer) => b.write("80ffffffffffffffffffffff", 124, "hex"),
      "is too large",
    ],
    [
      "a negative size",
      (b: Buffer) => b.write("ffffffffffffffffffffff00", 124, "hex"),
      "has a negative size",
    ],
  ])("%s is refused", (_, patch, message) => {
    const block = header({ type: "file", path: "f" }, patch);
    expect(() => decode(archive(block))).toThrow(message);
  });

  test("entries after a block of zeros are refused", () => {
    expect(() => decode(archive(new Uint8Array(512), file("f")))).toThrow(
      "entries follow a block of zeros",
    );
  });

  test("one block of zeros is enough of an end", () => {
    expect(decode(Buffer.concat([file("f"), new Uint8Array(512)]))).toHaveLength(1);
  });
});

describe("PAX", () => {
  test("records override the header, with fractions of seconds and binary attributes", () => {
    const block = records({
      path: "p/q",
      mtime: "-1.5000000001",
      uid: "70000000",
      "SCHILY.xattr.user.x": "a\n\0b=c 1234",
    });
    const { entry } = decode(archive(block, file("f")))[0]!;
    expect(entry).toMatchObject({ path: "p/q", mtimeNs: -1_500_000_000n, uid: 70_000_000 });
    expect(Buffer.from(entry.xattrs.get("user.x") ?? []).toString()).toBe("a\n\0b=c 1234");
  });

  test("attributes in libarchive's form are read", () => {
    const { entry } = decode(
      archive(records({ "LIBARCHIVE.xattr.user.a%2Fb": "dmFsdWU=" }), file("f")),
    )[0]!;
    expect(Buffer.from(entry.xattrs.get("user.a/b") ?? []).toString()).toBe("value");
  });

  test("a global header holds for all entries until another says otherwise", () => {
    const found = decode(
      archive(pax("9 uid=77\n", "g"), file("a"), pax("9 uid=88\n"), file("b"), file("c")),
    );
    expect(found.map(({ entry }) => entry.uid)).toEqual([77, 88, 77]);
  });

  test("a size in a PAX header counts, not the one of the header", () => {
    const content = Buffer.alloc(512, "x");
    const found = decode(archive(pax("12 size=512\n"), file("a"), content, file("b")));
    expect(found.map(({ entry }) => [entry.path, entry.sizeBytes])).toEqual([
      ["a", 512],
      ["b", 0],
    ]);
  });

  test.each([
    [
      "a global header that sets a name",
      pax("10 path=x\n", "g"),
      "a global PAX header sets a name or a size",
    ],
    ["a record without an equals sign", pax("8 path\n\n"), "a malformed record"],
    ["a record with a wrong length", pax("99 path=x\n"), "a malformed record"],
    ["a record of length zero", pax("0 path=x\n"), "a malformed record"],
    ["a name with a NUL", pax("12 path=a\0b\n"), "holds a NUL byte"],
    ["a negative size", pax("11 size=-1\n"), 'the size "-1" in a PAX header is no count'],
    ["a time that is none", pax("13 mtime=1e9\n"), 'the time "1e9" in a PAX header is malformed'],
  ])("%s is refused", (_, block, message) => {
    expect(() => decode(archive(block, file("f")))).toThrow(message);
  });

  test("an extension that claims to be huge is refused before it is read", () => {
    const block = header({ type: "file", path: "x", sizeBytes: 2 ** 30 }, (b) => b.write("x", 156));
    expect(() => decode(archive(block))).toThrow("an extension header claims 1073741824 bytes");
  });
});

describe("sparse maps", () => {
  const sparse = (map: string, stored = 0): Buffer =>
    archive(
      records({ "GNU.sparse.size": "1000", "GNU.sparse.map": map }),
      tarHeader({ type: "file", path: "s", sizeBytes: stored }),
      Buffer.alloc(512 * Math.ceil(stored / 512)),
    );

  test.each([
    ["runs that overlap", "0,100,50,100", 200],
    ["a run behind the end", "900,200", 200],
    ["an odd number of numbers", "0,100,5", 100],
    ["runs that are not stored", "0,100", 50],
  ])("%s are refused", (_, map, stored) => {
    expect(() => decode(sparse(map, stored))).toThrow(/sparse map/);
  });

  test("a file of holes only has its size and no data", () => {
    expect(decode(sparse("0,0"))[0]?.entry).toMatchObject({ sizeBytes: 1000, isSparse: true });
  });
});

describe("readTar", () => {
  async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    yield bytes;
  }

  test("gives members with their bodies, and skips those that are not read", async () => {
    const bytes = tarArchive([
      { type: "file", path: "a", content: "first" },
      { type: "file", path: "b", content: "second" },
    ]);
    const seen: string[] = [];
    for await (const { entry, body } of readTar(once(bytes))) {
      if (entry.path === "a") continue;
      for await (const chunk of body) seen.push(Buffer.from(chunk).toString());
    }
    expect(seen).toEqual(["second"]);
  });

  test("ends the source when its reader stops early", async () => {
    let ended = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield tarHeader({ type: "file", path: "f" });
      } finally {
        ended = true;
      }
    }
    for await (const _ of readTar(source())) break;
    expect(ended).toBe(true);
  });

  test("refuses a truncated archive", async () => {
    const bytes = tarArchive([{ type: "file", path: "a", content: "first" }]).subarray(0, 514);
    const read = async (): Promise<void> => {
      for await (const _ of readTar(once(bytes)));
    };
    await expect(read()).rejects.toThrow("it ends in the middle of an entry");
  });
});
