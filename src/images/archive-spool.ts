import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { basename, join, posix } from "node:path";
import { type Digest } from "../base/digest.ts";
import { startDigest } from "../base/hash.ts";
import { invalidArgument } from "../base/error.ts";
import { type Compression, compressionOf } from "../layers/decompress.ts";
import { readTar, type TarMember } from "../layers/tar-reader.ts";
import { MAX_DOCUMENT_BYTES } from "./manifest.ts";
import { storageError } from "./storage-error.ts";

/** A file of an archive, on the disk. */
export interface SpooledFile {
  /** Its name in the archive, for messages. */
  readonly name: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly digest: Digest;
}

/** More files than any archive of images has; each costs an entry in memory. */
const MAX_FILES = 100_000;
/** Chains of links in old archives are one long. */
const MAX_LINKS = 8;

/**
 * The files of an archive, spooled to one directory, since an archive of images may name its layers only at its end.
 * Files are numbered: no name of the archive becomes a name on the disk.
 */
export class ArchiveSpool {
  private readonly directory: string;
  private readonly files = new Map<string, SpooledFile>();
  private readonly links = new Map<string, string>();

  /** `parent` is made; a directory of its own is made in it. */
  constructor(parent: string) {
    mkdirSync(parent, { recursive: true, mode: 0o700 });
    this.directory = mkdtempSync(join(parent, SPOOL_PREFIX));
    live.add(this.directory);
  }

  /** Reads a whole tar archive (not compressed). @throws invalid-argument, resource-exhausted */
  async read(archive: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const member of readTar(archive)) {
      const { entry } = member;
      const name = nameOf(entry.path);
      if (entry.type === "file") await this.spool(name, member);
      else if (entry.type === "hardlink") this.links.set(name, nameOf(entry.linkTarget));
      else if (entry.type === "symlink") {
        // Resolved among the archive's own names only.
        this.links.set(name, nameOf(posix.join(posix.dirname(name), entry.linkTarget)));
      }
    }
  }

  private async spool(name: string, member: TarMember): Promise<void> {
    if (this.files.size >= MAX_FILES) {
      throw invalidArgument(`Cannot read the archive: it has more than ${MAX_FILES} files`);
    }
    if (member.entry.isSparse) {
      throw invalidArgument(`Cannot read the archive: ${JSON.stringify(name)} is a sparse file`);
    }
    const path = join(this.directory, String(this.files.size));
    const hash = startDigest();
    try {
      const file = await open(path, "wx", 0o600);
      try {
        for await (const chunk of member.body) {
          hash.update(chunk);
          await file.writeFile(chunk);
        }
      } finally {
        await file.close();
      }
    } catch (error) {
      throw storageError("spool the archive", error);
    }
    const { sizeBytes } = member.entry;
    this.files.set(name, { name, path, sizeBytes, digest: hash.digest() });
  }

  /** The file of that name; links of the archive are followed. */
  file(name: string): SpooledFile | undefined {
    let at = nameOf(name);
    for (let followed = 0; followed <= MAX_LINKS; followed += 1) {
      const file = this.files.get(at);
      if (file !== undefined) return file;
      const target = this.links.get(at);
      if (target === undefined) return undefined;
      at = target;
    }
    return undefined;
  }

  /** A small file as a whole. @throws invalid-argument when it is missing or too large */
  document(name: string): { file: SpooledFile; bytes: Uint8Array } {
    const file = this.file(name);
    if (file === undefined) throw invalidArgument(`Cannot read the archive: it has no ${name}`);
    if (file.sizeBytes > MAX_DOCUMENT_BYTES) {
      throw invalidArgument(
        `Cannot read the archive: ${name} has ${file.sizeBytes} bytes, more than ${MAX_DOCUMENT_BYTES}`,
      );
    }
    return { file, bytes: readFileSync(file.path) };
  }

  /** Removes everything. Idempotent. */
  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
    live.delete(this.directory);
  }
}

const SPOOL_PREFIX = "load-";
/** Spools of this process; all others were left by one that died, since one process at a time writes. */
const live = new Set<string>();

/** Directories of half-read archives below `parent` that no one reads any more. */
export function spoolLeftovers(parent: string): string[] {
  mkdirSync(parent, { recursive: true, mode: 0o700 });
  return readdirSync(parent)
    .filter((name) => name.startsWith(SPOOL_PREFIX))
    .map((name) => join(parent, basename(name)))
    .filter((path) => !live.has(path));
}

/** `./a//b/../c` -> `a/c`: the one name under which a file of an archive is known. */
function nameOf(path: string): string {
  return posix.join("/", path).slice(1).replace(/\/$/, "");
}

/** How a spooled file is compressed, by its first bytes. @throws invalid-argument for a compression that is not supported */
export function spooledCompression(file: SpooledFile): Compression {
  return compressionOf(startOf(file));
}

function startOf(file: SpooledFile): Uint8Array {
  const descriptor = openSync(file.path, "r");
  try {
    const start = new Uint8Array(64);
    return start.subarray(0, readSync(descriptor, start));
  } finally {
    closeSync(descriptor);
  }
}
