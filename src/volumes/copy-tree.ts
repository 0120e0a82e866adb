import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import { copyData } from "../kernel/copy-data.ts";
import {
  closeDescriptor,
  fchmod,
  fchmodat,
  fchownat,
  fgetxattr,
  type FileStatus,
  flistxattr,
  fsetxattrRaw,
  linkat,
  mkdirat,
  mknodat,
  openat2,
  openat2Raw,
  statusAt,
  symlinkat,
  utimensat,
} from "../kernel/files.ts";
import { AT, O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { errnoOf, syscallError } from "../kernel/syscall.ts";

/** A directory to copy from. Every look at it is confined by whoever made it. */
export interface SourceDirectory {
  readonly status: FileStatus;
  /** A descriptor for its attributes; the caller closes it. */
  open(): number;
  entries(): Iterable<SourceEntry>;
}

export interface SourceEntry {
  readonly name: string;
  readonly status: FileStatus;
  /** A descriptor for content and attributes, of files alone; the caller closes it. */
  open(): number;
  linkTarget(): string;
  /** Null unless it is a directory. */
  directory(): SourceDirectory | null;
}

export interface CopiedTree {
  readonly entries: number;
  readonly bytes: number;
}

/** Entries copied between two pauses for the event loop. */
const BATCH = 100;
/** Each level holds a descriptor. */
const MAXIMUM_DEPTH = 400;
const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS | RESOLVE.NO_XDEV;
const CREATE = { flags: O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode: 0o600, resolve: INSIDE };
const DIRECTORY = { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };

/**
 * Copies a directory into another one that is open: contents, owners, modes, times, attributes, links of both kinds, nodes.
 * The target gets the attributes of the source. A name that somebody else makes in it meanwhile stays theirs, and whatever
 * they do there, nothing outside is reached: each step goes through a descriptor and follows no link. With pauses for the
 * event loop.
 * @throws invalid-argument for a tree deeper than 400 directories; resource-exhausted
 */
export async function copyTree(source: SourceDirectory, target: number): Promise<CopiedTree> {
  const copy = new Copy(target);
  await copy.directory(source, target, "");
  return { entries: copy.entries, bytes: copy.bytes };
}

class Copy {
  entries = 0;
  bytes = 0;
  private readonly root: number;
  /** First names of files that have several, by device and inode. */
  private readonly linked = new Map<string, string>();

  constructor(root: number) {
    this.root = root;
  }

  async directory(source: SourceDirectory, target: number, path: string): Promise<void> {
    if (path.split("/").length > MAXIMUM_DEPTH) {
      throw new TiffinError(
        "invalid-argument",
        `${JSON.stringify(path.slice(0, 80))} is deeper than ${MAXIMUM_DEPTH} directories`,
      );
    }
    for (const entry of source.entries()) {
      this.entries += 1;
      if (this.entries % BATCH === 0) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      const at = path === "" ? entry.name : `${path}/${entry.name}`;
      await unlessTaken(() => this.entry(entry, target, at));
    }
    const from = source.open();
    try {
      setAttributes(target, from, source.status);
    } finally {
      closeDescriptor(from);
    }
  }

  private async entry(entry: SourceEntry, parent: number, path: string): Promise<void> {
    const { status, name } = entry;
    const type = status.mode & S_IFMT;
    if (type === S_IF.DIR) await this.subdirectory(entry, parent, path);
    else if (status.links > 1 && this.link(status, [parent, name], path)) return;
    else if (type === S_IF.REG) await this.file(entry, parent);
    else if (type === S_IF.LNK) copyLink(entry, parent);
    else copyNode(entry, parent);
  }

  private async subdirectory(entry: SourceEntry, parent: number, path: string): Promise<void> {
    const source = entry.directory();
    if (source === null) return;
    mkdirat(parent, entry.name, 0o700);
    const target = openat2(parent, entry.name, DIRECTORY);
    try {
      await this.directory(source, target, path);
    } finally {
      closeDescriptor(target);
    }
  }

  /** True when another name of the same file was copied and this one is linked to it. */
  private link(status: FileStatus, at: readonly [number, string], path: string): boolean {
    const key = `${status.device}:${status.inode}`;
    const first = this.linked.get(key);
    if (first === undefined) {
      this.linked.set(key, path);
      return false;
    }
    const slash = first.lastIndexOf("/");
    const how = { flags: O.PATH | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };
    const parent = openat2Raw(this.root, slash === -1 ? "." : first.slice(0, slash), how);
    // Somebody else changes the tree meanwhile: the file is copied again.
    if (parent < 0) return false;
    try {
      const name = first.slice(slash + 1);
      const there = statusAt(parent, name);
      if (there === null || (there.mode & S_IFMT) !== (status.mode & S_IFMT)) return false;
      linkat([parent, name], at);
      return true;
    } finally {
      closeDescriptor(parent);
    }
  }

  private async file(entry: SourceEntry, parent: number): Promise<void> {
    const target = openat2(parent, entry.name, CREATE);
    try {
      const from = entry.open();
      try {
        await copyData(from, target, entry.status);
        this.bytes += entry.status.sizeBytes;
        setAttributes(target, from, entry.status);
      } finally {
        closeDescriptor(from);
      }
    } finally {
      closeDescriptor(target);
    }
  }
}

/** In this order: a change of owner clears setuid bits and capabilities, and every change sets the time. */
function setAttributes(target: number, from: number, status: FileStatus): void {
  fchownat([target, ""], status.uid, status.gid);
  for (const name of flistxattr(from).filter(isContent)) {
    const value = fgetxattr(from, name);
    if (value !== null) check(fsetxattrRaw(target, name, value), name);
  }
  fchmod(target, status.mode & 0o7777);
  utimensat([target, ""], status.mtimeNs);
}

/** Extended attributes of links and nodes are left: only trusted and security ones could be there. */
function copyLink(entry: SourceEntry, parent: number): void {
  const { name, status } = entry;
  symlinkat(entry.linkTarget(), parent, name);
  fchownat([parent, name], status.uid, status.gid);
  utimensat([parent, name], status.mtimeNs);
}

function copyNode(entry: SourceEntry, parent: number): void {
  const { name, status } = entry;
  mknodat([parent, name], (status.mode & S_IFMT) | 0o600, [status.major, status.minor]);
  fchownat([parent, name], status.uid, status.gid);
  setNodeMode(parent, entry);
  utimensat([parent, name], status.mtimeNs);
}

/** chmod follows links, and the name may have become one: through a descriptor of what was made. */
function setNodeMode(parent: number, { name, status }: SourceEntry): void {
  const node = openat2(parent, name, { flags: O.PATH | O.NOFOLLOW, resolve: INSIDE });
  try {
    const there = statusAt(node, "");
    if (((there?.mode ?? 0) & S_IFMT) !== (status.mode & S_IFMT)) return;
    fchmodat([AT.FDCWD, `/proc/self/fd/${node}`], status.mode & 0o7777);
  } finally {
    closeDescriptor(node);
  }
}

function check(result: number, attribute: string): void {
  // A file system without this class of attributes: docker goes on as well.
  if (result >= 0 || result === -ERRNO.EOPNOTSUPP) return;
  throw syscallError("setxattr", result, `set the attribute ${JSON.stringify(attribute)}`);
}

/** Marks of overlayfs are the layer's, labels and measurements of security modules the host's. */
function isContent(attribute: string): boolean {
  if (/^(trusted|user)\.overlay\./.test(attribute)) return false;
  return !["security.selinux", "security.ima", "security.evm"].includes(attribute);
}

async function unlessTaken(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (errnoOf(error) !== "EEXIST") throw error;
  }
}
