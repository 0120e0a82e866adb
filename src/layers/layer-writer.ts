import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  type FileStatus,
  fchmod,
  fchmodat,
  fchownat,
  fsetxattrRaw,
  ftruncate,
  linkat,
  mkdirat,
  mknodat,
  openat2,
  openat2Raw,
  setxattrAtRaw,
  statusAt,
  symlinkat,
  unlinkat,
  utimensat,
  writeAll,
} from "../kernel/files.ts";
import { O, RESOLVE, S_IF } from "../kernel/flags.ts";
import { encodeFileName } from "../kernel/file-name.ts";
import { syscallError } from "../kernel/syscall.ts";
import { isContent } from "./archive-attributes.ts";
import { checkNumbers, inEntry, refused } from "./entry-checks.ts";
import { LayerTree, type OpenParent } from "./layer-tree.ts";
import { removeTreeSync } from "./remove-tree.ts";
import { isDirectory, isWhiteout } from "./stack.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarEvent } from "./tar-reader.ts";

/** Bounds of one layer, against archives made to fill a disk or to exhaust memory. */
export interface UnpackLimits {
  readonly entries: number;
  /** Of all files together (holes count), and of the uncompressed archive. */
  readonly bytes: number;
  /** Of a path, a link's target not counted. */
  readonly pathBytes: number;
  readonly depth: number;
}

export const DEFAULT_UNPACK_LIMITS: UnpackLimits = {
  entries: 2_000_000,
  bytes: 256 * 1024 ** 3,
  pathBytes: 4095,
  depth: 256,
};

const WHITEOUT = ".wh.";
const OPAQUE_WHITEOUT = ".wh..wh..opq";
const CREATE = {
  flags: O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW,
  mode: 0o600,
  resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS,
};

/**
 * Writes the entries of one layer below an open directory, in overlayfs's form. Owners are the plain ids of the archive.
 * Source: image-spec v1.1.1 layer.md, "Whiteouts"; kernel Documentation/filesystems/overlayfs.rst.
 */
export class LayerWriter {
  private readonly tree: LayerTree;
  private readonly root: number;
  private readonly limits: UnpackLimits;
  private file: { descriptor: number; entry: TarEntry; isMade: boolean } | null = null;
  private rootNamed = false;
  private entryCount = 0;
  private byteCount = 0;

  /** `root` and what `openLower` returns (the topmost first) are directory descriptors that stay the caller's. */
  constructor(
    root: number,
    openLower: () => readonly number[],
    { limits, goesAhead }: { readonly limits: UnpackLimits; readonly goesAhead: boolean },
  ) {
    this.root = root;
    this.limits = limits;
    this.tree = new LayerTree(root, openLower, { maximumDepth: limits.depth, goesAhead });
  }

  get entries(): number {
    return this.entryCount;
  }

  /** Bytes of all files, holes counted. */
  get bytes(): number {
    return this.byteCount;
  }

  /** @throws invalid-argument naming entry and position, resource-exhausted when the disk is full */
  take(event: TarEvent): void {
    if (event.kind === "entry") {
      const { entry } = event;
      inEntry(entry, () => this.begin(entry));
    } else if (this.file !== null) {
      const { descriptor, entry } = this.file;
      inEntry(entry, () => {
        if (event.kind === "data") writeAll(descriptor, event.data, event.offset);
        else this.endFile();
      });
    }
  }

  /** All entries are in: sets what can only be set now. False: they have to be written again, without going ahead ({@link LayerTree}). */
  finish(): boolean {
    if (!this.tree.settle()) return false;
    if (!this.rootNamed) this.tree.adoptRoot();
    this.tree.applyTimes();
    return true;
  }

  /** Closes what is open, whatever happened. */
  close(): void {
    if (this.file !== null) closeDescriptor(this.file.descriptor);
    this.file = null;
    this.tree.forget();
  }

  private begin(entry: TarEntry): void {
    this.count(entry);
    checkNumbers(entry);
    const components = safeComponents(entry.path, this.limits);
    const name = components.at(-1);
    if (name === undefined) {
      this.setRoot(entry);
      return;
    }
    const parent = this.tree.parent(components.slice(0, -1), entry.mtimeNs);
    if (name.startsWith(WHITEOUT)) this.whiteout(parent, name);
    else this.create(entry, parent, name);
  }

  private count(entry: TarEntry): void {
    this.entryCount += 1;
    this.byteCount += entry.sizeBytes;
    const { entries, bytes } = this.limits;
    if (this.entryCount > entries) throw tooMuch(`the layer has more than ${entries} entries`);
    if (this.byteCount > bytes)
      throw tooMuch(`the files of the layer take more than ${bytes} bytes`);
  }

  private setRoot(entry: TarEntry): void {
    if (entry.type !== "directory") throw refused(`the layer's root is a ${entry.type}`);
    this.rootNamed = true;
    this.setDirectory(entry, { descriptor: this.root, path: "" }, ".");
  }

  private whiteout(parent: OpenParent, name: string): void {
    if (name === OPAQUE_WHITEOUT) {
      this.tree.makeOpaque(parent.descriptor, ".");
      return;
    }
    // Other marks of aufs (links kept aside, its own files) say nothing about the tree.
    if (name.startsWith(`${WHITEOUT}${WHITEOUT}`)) return;
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..") {
      throw refused(`${JSON.stringify(name)} deletes no name`);
    }
    const there = statusAt(parent.descriptor, hidden);
    // A whiteout hides lower layers only; what this layer itself brings stays, and hides already.
    if (there === null) mknodat([parent.descriptor, hidden], S_IF.CHR);
    else if (isDirectory(there)) this.tree.makeOpaque(parent.descriptor, hidden);
  }

  private create(entry: TarEntry, parent: OpenParent, name: string): void {
    if (parent.path.split("/").length + 1 > this.limits.depth) {
      throw tooMuch(`it is deeper than ${this.limits.depth} directories`);
    }
    if (entry.type === "hardlink") {
      this.link(entry, parent, name);
      return;
    }
    if (entry.type === "file") {
      this.beginFile(entry, parent, name);
      return;
    }
    const there = statusAt(parent.descriptor, name);
    if (entry.type === "directory") {
      this.directory(entry, parent, { name, there });
      return;
    }
    if (there !== null) this.removeOld(parent, name, there);
    this.node(entry, [parent.descriptor, name]);
  }

  /** Most files are the first of their name, and root's with a plain mode: then opening them makes them as they should be. */
  private beginFile(entry: TarEntry, parent: OpenParent, name: string): void {
    const how = this.tree.bequeaths ? undefined : plainCreation(entry);
    const first = openat2Raw(parent.descriptor, name, how ?? CREATE);
    if (first >= 0) {
      this.file = { descriptor: first, entry, isMade: how !== undefined };
      return;
    }
    if (first !== -ERRNO.EEXIST) {
      throw syscallError("openat2", first, `open ${JSON.stringify(name)}`);
    }
    const there = statusAt(parent.descriptor, name);
    if (there !== null) this.removeOld(parent, name, there);
    this.file = { descriptor: openat2(parent.descriptor, name, CREATE), entry, isMade: false };
  }

  private directory(
    entry: TarEntry,
    parent: OpenParent,
    at: { name: string; there: FileStatus | null },
  ): void {
    const { name, there } = at;
    const exists = there !== null && isDirectory(there);
    if (there !== null && !exists) this.removeOld(parent, name, there);
    if (!exists) mkdirat(parent.descriptor, name, 0o700);
    // What it replaces in this layer had replaced what lower layers have.
    if (there !== null && !exists) this.tree.makeOpaque(parent.descriptor, name);
    this.setDirectory(entry, parent, name);
  }

  private setDirectory(entry: TarEntry, parent: OpenParent, name: string): void {
    const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
    const descriptor = openat2(parent.descriptor, name, { flags, resolve: CREATE.resolve });
    try {
      fchownat([descriptor, ""], entry.uid, entry.gid);
      this.setXattrs(entry, (key, value) => fsetxattrRaw(descriptor, key, value));
      fchmod(descriptor, entry.mode);
      this.tree.noteDirectory(entry.mode, entry.xattrs.keys());
    } finally {
      closeDescriptor(descriptor);
    }
    const path = parent.path === "" ? name : `${parent.path}/${name}`;
    this.tree.setTime(name === "." ? "" : path, entry.mtimeNs);
  }

  private node(entry: TarEntry, at: readonly [number, string]): void {
    if (entry.type === "symlink") symlinkat(entry.linkTarget, ...at);
    else if (entry.type === "fifo") mknodat(at, S_IF.FIFO | 0o600);
    else {
      const type = entry.type === "block-device" ? S_IF.BLK : S_IF.CHR;
      mknodat(at, type | 0o600, [entry.deviceMajor, entry.deviceMinor]);
    }
    fchownat(at, entry.uid, entry.gid);
    this.setXattrs(entry, (key, value) => setxattrAtRaw(at, key, value));
    if (entry.type !== "symlink") fchmodat(at, entry.mode);
    utimensat(at, entry.mtimeNs);
  }

  /** In this order: a change of owner clears setuid bits, and like every write it clears capabilities. */
  private endFile(): void {
    if (this.file === null) return;
    const { descriptor, entry, isMade } = this.file;
    try {
      if (entry.isSparse) ftruncate(descriptor, entry.sizeBytes);
      if (!isMade) {
        fchownat([descriptor, ""], entry.uid, entry.gid);
        this.setXattrs(entry, (key, value) => fsetxattrRaw(descriptor, key, value));
        fchmod(descriptor, entry.mode);
      }
      utimensat([descriptor, ""], entry.mtimeNs);
    } finally {
      closeDescriptor(descriptor);
      this.file = null;
    }
  }

  private link(entry: TarEntry, parent: OpenParent, name: string): void {
    const target = safeComponents(entry.linkTarget, this.limits);
    const targetName = target.at(-1);
    const from = targetName === undefined ? null : this.tree.existingParent(target.slice(0, -1));
    const status =
      from === null || targetName === undefined ? null : statusAt(from.descriptor, targetName);
    if (from === null || targetName === undefined || status === null || isWhiteout(status)) {
      throw refused(
        `it is a hard link to ${JSON.stringify(entry.linkTarget)}, which the layer does not have`,
      );
    }
    if (isDirectory(status)) throw refused("it is a hard link to a directory");
    if (from.path === parent.path && targetName === name) return;
    const there = statusAt(parent.descriptor, name);
    if (there !== null) this.removeOld(parent, name, there);
    linkat([from.descriptor, targetName], [parent.descriptor, name]);
  }

  /** The later of two entries with one name holds, as with tar. */
  private removeOld(parent: OpenParent, name: string, there: FileStatus): void {
    if (isDirectory(there)) removeTreeSync(parent.descriptor, name);
    else unlinkat(parent.descriptor, name);
  }

  private setXattrs(entry: TarEntry, set: (name: string, value: Uint8Array) => number): void {
    for (const [name, value] of entry.xattrs) {
      if (!isContent(name)) continue;
      const result = set(name, value);
      // A file system or a kind of file without this class of attributes: docker goes on as well.
      if (result >= 0 || result === -ERRNO.EOPNOTSUPP) continue;
      // user.* is refused on links and devices by every kernel.
      if (result === -ERRNO.EPERM && entry.type !== "file" && entry.type !== "directory") continue;
      throw syscallError("setxattr", result, `set the attribute ${JSON.stringify(name)}`);
    }
  }
}

const UMASK = process.umask();
const PERMISSIONS = 0o777;
const isRoot = process.geteuid?.() === 0 && process.getegid?.() === 0;
const plainCreations = new Map<number, typeof CREATE>();

/** How to open a file so that it has its owner and mode at once; undefined when that cannot be. */
function plainCreation({ uid, gid, mode, xattrs }: TarEntry): typeof CREATE | undefined {
  const isPlain = isRoot && uid === 0 && gid === 0 && xattrs.size === 0;
  if (!isPlain || (mode & ~PERMISSIONS) !== 0 || (mode & UMASK) !== 0) return undefined;
  const known = plainCreations.get(mode) ?? { ...CREATE, mode };
  plainCreations.set(mode, known);
  return known;
}

/** The names of a path in an archive. @throws invalid-argument for one that could lead out */
function safeComponents(path: string, limits: UnpackLimits): string[] {
  if (path === "") throw refused("its name is empty");
  if (path.includes("\0")) throw refused("its name holds a NUL byte");
  // A bare "/" is the layer's root, as "./" is: umoci names it so.
  if (/^\/+[^/]/.test(path)) throw refused(`the name ${JSON.stringify(path)} is absolute`);
  if (encodeFileName(path).length > limits.pathBytes) {
    throw tooMuch(`its name is longer than ${limits.pathBytes} bytes`);
  }
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw refused(`the name ${JSON.stringify(path)} leads upwards`);
  if (names.length > limits.depth) throw tooMuch(`it is deeper than ${limits.depth} directories`);
  return names;
}

function tooMuch(problem: string): TiffinError {
  return new TiffinError("invalid-argument", problem, {
    hint: "The archive may be made to fill the disk: use it only when you trust where it comes from",
  });
}
