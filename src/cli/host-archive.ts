import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { decodeFileName, encodeFileName } from "../kernel/file-name.ts";
import type { TarEntryType } from "../layers/tar-entry.ts";
import { TAR_END, tarHeader, tarPadding } from "../layers/tar-writer.ts";
import { fileError } from "./file-error.ts";

const CHUNK_BYTES = 256 << 10;
const FORMAT = 0o170000;
const TYPES: ReadonlyMap<number, TarEntryType> = new Map([
  [0o100000, "file"],
  [0o120000, "symlink"],
  [0o020000, "character-device"],
  [0o060000, "block-device"],
  [0o040000, "directory"],
  [0o010000, "fifo"],
]);

/**
 * A file or directory of this machine as a tar archive, with `base` as the first name of its entries. Sorted; times in whole
 * seconds; a file with several names once and then as hard links; sockets are left out.
 * @throws in the system's words
 */
export async function* archiveHostPath(
  path: string,
  base: string,
): AsyncGenerator<Uint8Array, void> {
  const packer = new HostPacker();
  const waiting: [path: string, name: string][] = [[path, base]];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    yield* packer.add(...next);
    waiting.push(...packer.takeFound());
  }
  yield* packer.finish();
}

class HostPacker {
  private buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  private filled = 0;
  private readonly firstNames = new Map<string, string>();
  private found: [path: string, name: string][] = [];

  /** Names in the directory that was added last, the first at the end. */
  takeFound(): [path: string, name: string][] {
    const { found } = this;
    this.found = [];
    return found;
  }

  *add(path: string, name: string): Generator<Uint8Array, void> {
    const at = pathBytes(path);
    const status = inWords("lstat", path, () => lstatSync(at));
    const type = TYPES.get(status.mode & FORMAT);
    if (type === undefined) return;
    const common = commonFields(status, type, name);
    const first = type === "directory" || status.nlink < 2 ? undefined : this.first(at, name);
    if (first !== undefined) {
      yield* this.write(tarHeader({ ...common, type: "hardlink", linkTarget: first }));
    } else if (type === "file") {
      yield* this.file(path, { ...common, sizeBytes: status.size });
    } else if (type === "symlink") {
      const target = decodeFileName(readlinkSync(at, { encoding: "buffer" }));
      yield* this.write(tarHeader({ ...common, linkTarget: target }));
    } else {
      yield* this.write(tarHeader({ ...common, ...deviceNumbers(status, type) }));
    }
    if (type !== "directory") return;
    const listed = inWords("open", path, () => readdirSync(at, { encoding: "buffer" }));
    const names = listed.map(decodeFileName).sort((one, other) => (one < other ? 1 : -1));
    this.found = names.map((child) => [`${path}/${child}`, `${name}/${child}`]);
  }

  *finish(): Generator<Uint8Array, void> {
    yield* this.write(TAR_END);
    if (this.filled > 0) yield this.turnOver();
  }

  private first(at: string | Buffer, name: string): string | undefined {
    // Inode numbers may be larger than a plain number holds.
    const { dev, ino } = lstatSync(at, { bigint: true });
    const key = `${dev}:${ino}`;
    const first = this.firstNames.get(key);
    if (first === undefined) this.firstNames.set(key, name);
    return first;
  }

  private *file(
    path: string,
    header: Parameters<typeof tarHeader>[0] & { sizeBytes: number },
  ): Generator<Uint8Array, void> {
    const file = inWords("open", path, () => openSync(pathBytes(path), "r"));
    try {
      yield* this.write(tarHeader(header));
      const { sizeBytes } = header;
      for (let position = 0; position < sizeBytes; ) {
        const room = Math.min(CHUNK_BYTES - this.filled, sizeBytes - position);
        const read = readSync(file, this.buffer, this.filled, room, position);
        // A file that has become shorter since is filled up: its length has been told.
        if (read === 0) this.buffer.fill(0, this.filled, this.filled + room);
        const taken = read === 0 ? room : read;
        position += taken;
        this.filled += taken;
        if (this.filled === CHUNK_BYTES) yield this.turnOver();
      }
      yield* this.write(tarPadding(sizeBytes));
    } finally {
      closeSync(file);
    }
  }

  private *write(bytes: Uint8Array): Generator<Uint8Array, void> {
    if (bytes.length < CHUNK_BYTES - this.filled) {
      this.buffer.set(bytes, this.filled);
      this.filled += bytes.length;
      return;
    }
    let rest = bytes;
    while (rest.length > 0) {
      const part = rest.subarray(0, CHUNK_BYTES - this.filled);
      this.buffer.set(part, this.filled);
      this.filled += part.length;
      rest = rest.subarray(part.length);
      if (this.filled === CHUNK_BYTES) yield this.turnOver();
    }
  }

  private turnOver(): Uint8Array {
    const full = this.buffer.subarray(0, this.filled);
    this.buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.filled = 0;
    return full;
  }
}

function commonFields(
  status: Stats,
  type: TarEntryType,
  path: string,
): Parameters<typeof tarHeader>[0] {
  return {
    type,
    path,
    mode: status.mode & 0o7777,
    uid: status.uid,
    gid: status.gid,
    mtimeNs: BigInt(Math.floor(status.mtimeMs / 1000)) * 1_000_000_000n,
  };
}

/** As glibc's gnu_dev_major and gnu_dev_minor take a device number apart. */
function deviceNumbers(status: Stats, type: TarEntryType): object {
  if (type !== "character-device" && type !== "block-device") return {};
  const device = BigInt(status.rdev);
  return {
    deviceMajor: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    deviceMinor: Number((device & 0xffn) | ((device >> 12n) & ~0xffn & 0xffffffffn)),
  };
}

/** Names that are no UTF-8 go as bytes. */
function pathBytes(path: string): string | Buffer {
  return /[\udc80-\udcff]/.test(path) ? encodeFileName(path) : path;
}

function inWords<Result>(call: string, path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw fileError(call, path, error);
  }
}
