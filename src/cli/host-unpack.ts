import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  fchmodSync,
  ftruncateSync,
  futimesSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
  constants,
} from "node:fs";
import { encodeFileName } from "../kernel/file-name.ts";
import type { TarEntry } from "../layers/tar-entry.ts";
import { TarDecoder, type TarEvent } from "../layers/tar-reader.ts";
import { failure } from "./failure.ts";
import { fileError } from "./file-error.ts";

const BILLION = 1_000_000_000n;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

/**
 * Unpacks an archive into a directory of this machine, as the user who runs the command: owners are not taken over. Entries stay
 * below the directory: names do not lead upwards, and no link stands between it and what is written, also none that the archive
 * brought itself. `rename` gives each entry its name.
 * @throws in the system's words
 */
export async function unpackToHost(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  rename: (name: string) => string,
): Promise<void> {
  const decoder = new TarDecoder();
  const writer = new HostWriter(directory, rename);
  try {
    for await (const chunk of archive) {
      for (const event of decoder.push(chunk)) writer.take(event);
    }
    decoder.finish();
    writer.finish();
  } finally {
    writer.close();
  }
}

class HostWriter {
  private readonly root: string;
  private readonly rename: (name: string) => string;
  /** Directories that were looked at: no links. */
  private readonly known = new Set<string>([""]);
  private readonly times: [path: string, entry: TarEntry][] = [];
  private file: { descriptor: number; entry: TarEntry; path: string } | undefined;

  constructor(root: string, rename: (name: string) => string) {
    this.root = root === "/" ? "" : root;
    this.rename = rename;
  }

  take(event: TarEvent): void {
    if (event.kind === "entry") this.begin(event.entry);
    else if (this.file !== undefined) {
      const { descriptor, path } = this.file;
      if (event.kind === "end") this.endFile();
      else inWords("write", path, () => writeWhole(descriptor, event.data, event.offset));
    }
  }

  /** Each new name in a directory changes its time: those are set last. */
  finish(): void {
    for (const [path, entry] of this.times) utimesSync(path, ...timesOf(entry));
  }

  /** A file that is not whole goes. */
  close(): void {
    if (this.file === undefined) return;
    closeSync(this.file.descriptor);
    unlinkSync(bytesOf(this.file.path));
    this.file = undefined;
  }

  private begin(entry: TarEntry): void {
    const names = namesIn(this.rename(entry.path));
    // The directory itself stays as it is.
    if (names.length === 0) return;
    this.makeParents(names.slice(0, -1));
    const path = this.pathOf(names);
    if (entry.type === "directory") {
      this.directory(entry, names);
      return;
    }
    this.clear(path);
    inWords("open", path, () => this.make(entry, path));
  }

  private make(entry: TarEntry, path: string): void {
    const at = bytesOf(path);
    if (entry.type === "file") {
      this.file = { descriptor: openSync(at, CREATE, 0o600), entry, path };
    } else if (entry.type === "hardlink") {
      const target = namesIn(this.rename(entry.linkTarget));
      this.checkParents(target.slice(0, -1));
      linkSync(bytesOf(this.pathOf(target)), at);
    } else if (entry.type === "symlink") {
      symlinkSync(bytesOf(entry.linkTarget), at);
      lutimesSync(at, ...timesOf(entry));
    } else makeNode(entry, path);
  }

  private directory(entry: TarEntry, names: readonly string[]): void {
    const path = this.pathOf(names);
    const at = bytesOf(path);
    const there = statusOf(path);
    if (there === "other") {
      throw failure(
        `cannot overwrite non-directory "${path}" with directory "${this.root || "/"}"`,
      );
    }
    inWords("mkdir", path, () => {
      if (there === undefined) mkdirSync(at, 0o700);
      chmodSync(at, entry.mode);
    });
    this.known.add(names.join("/"));
    this.times.push([path, entry]);
  }

  private clear(path: string): void {
    const there = statusOf(path);
    if (there === "directory") {
      throw failure(
        `cannot overwrite directory "${path}" with non-directory "${this.root || "/"}"`,
      );
    }
    if (there === "other") inWords("unlink", path, () => unlinkSync(bytesOf(path)));
  }

  private endFile(): void {
    if (this.file === undefined) return;
    const { descriptor, entry, path } = this.file;
    this.file = undefined;
    inWords("close", path, () => {
      try {
        if (entry.isSparse) ftruncateSync(descriptor, entry.sizeBytes);
        fchmodSync(descriptor, entry.mode);
        futimesSync(descriptor, ...timesOf(entry));
      } finally {
        closeSync(descriptor);
      }
    });
  }

  private makeParents(names: readonly string[]): void {
    if (this.known.has(names.join("/"))) return;
    this.makeParents(names.slice(0, -1));
    const path = this.pathOf(names);
    if (statusOf(path) === undefined) {
      inWords("mkdir", path, () => mkdirSync(bytesOf(path), 0o755));
    }
    this.checkParents(names);
  }

  /** @throws when a name on the way is no directory: a link would lead out */
  private checkParents(names: readonly string[]): void {
    const key = names.join("/");
    if (this.known.has(key)) return;
    this.checkParents(names.slice(0, -1));
    const path = this.pathOf(names);
    if (statusOf(path) !== "directory") throw failure(`open ${path}: not a directory`);
    this.known.add(key);
  }

  private pathOf(names: readonly string[]): string {
    return `${this.root}/${names.join("/")}`;
  }
}

/** Node's file system has no mknod. */
function makeNode(entry: TarEntry, path: string): void {
  const kinds: Readonly<Record<string, string>> = {
    fifo: "p",
    "character-device": "c",
    "block-device": "b",
  };
  const kind = kinds[entry.type] ?? "p";
  const numbers = kind === "p" ? [] : [String(entry.deviceMajor), String(entry.deviceMinor)];
  const made = spawnSync("mknod", [`--mode=${entry.mode.toString(8)}`, path, kind, ...numbers]);
  if (made.status !== 0) throw failure(`mknod ${path}: ${made.stderr.toString().trim()}`);
  utimesSync(bytesOf(path), ...timesOf(entry));
}

function writeWhole(descriptor: number, data: Uint8Array, offset: number): void {
  let written = 0;
  while (written < data.length) {
    written += writeSync(descriptor, data, written, data.length - written, offset + written);
  }
}

function statusOf(path: string): "directory" | "other" | undefined {
  const status = lstatSync(bytesOf(path), { throwIfNoEntry: false });
  if (status === undefined) return undefined;
  return status.isDirectory() ? "directory" : "other";
}

function timesOf({ mtimeNs }: TarEntry): [accessed: number, modified: number] {
  const seconds = Number(mtimeNs / BILLION) + Number(mtimeNs % BILLION) / 1e9;
  return [seconds, seconds];
}

/** @throws for a name that leads upwards */
function namesIn(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === ".." || name.includes("\0")) {
      throw failure(`the archive's entry ${JSON.stringify(path)} leads out of the directory`);
    }
    names.push(name);
  }
  return names;
}

/** Names that are no UTF-8 go as bytes. */
function bytesOf(path: string): string | Buffer {
  return /[\udc80-\udcff]/.test(path) ? encodeFileName(path) : path;
}

function inWords(call: string, path: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    throw fileError(call, path, error);
  }
}
