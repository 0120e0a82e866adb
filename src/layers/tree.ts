import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  type FileStatus,
  openat2,
  openat2Raw,
  readDirectory,
  statusAt,
} from "../kernel/files.ts";
import { O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { syscallError } from "../kernel/syscall.ts";
import { isDirectory, isOpaqueDirectory, isWhiteout } from "./stack.ts";

const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
const LIST = { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };

/** What a tree has under a name. */
export interface TreeFile {
  readonly status: FileStatus;
  /** Set when it is a directory. */
  readonly place: TreePlace | null;
}

/** A directory that a walk has yet to enter: its path below the tree's root ("" is the root) and the roots that have it. */
export interface TreePlace {
  readonly path: string;
  /** Indexes into the tree's roots, the topmost first. */
  readonly roots: readonly number[];
}

/** A name in a directory of a tree. */
export interface TreeEntry {
  readonly name: string;
  /** As in a mode (S_IF.DIR ...). */
  readonly type: number;
  /** The open directory that has it. */
  readonly parent: number;
  /** Set when it is a directory: where the walk goes on. */
  readonly place: TreePlace | null;
}

/**
 * A tree of files as a walk sees it: one directory, or layers merged as overlayfs merges them (whiteouts and opaque
 * directories hide). Each directory is opened from the roots' descriptors, following no link, so that whoever changes the tree
 * meanwhile leads the walk nowhere else; and only while it is listed, so that depth costs no descriptors.
 */
export class Tree {
  private readonly roots: readonly number[];
  private readonly isMerged: boolean;

  /** Descriptors of the roots, the topmost first; they stay the caller's. `merged`: they are layers in overlayfs's form. */
  constructor(roots: readonly number[], form: "merged" | "plain") {
    this.roots = roots;
    this.isMerged = form === "merged";
  }

  get top(): TreePlace {
    return { path: "", roots: this.roots.map((_, index) => index) };
  }

  /** The directory at a place, open; null when it has gone, or become something else. Close it. */
  open(place: TreePlace): TreeDirectory | null {
    const opened: { index: number; descriptor: number }[] = [];
    try {
      for (const index of place.roots) {
        const descriptor = this.openIn(index, place.path);
        if (descriptor === null) continue;
        opened.push({ index, descriptor });
        if (this.isMerged && isOpaqueDirectory(descriptor)) break;
      }
    } catch (error) {
      for (const { descriptor } of opened) closeDescriptor(descriptor);
      throw error;
    }
    return opened.length === 0 ? null : new TreeDirectory(place.path, opened, this.isMerged);
  }

  private openIn(index: number, path: string): number | null {
    const root = this.roots[index];
    if (root === undefined) throw new TiffinError("internal", `No root ${index} in this tree`);
    const descriptor = openat2Raw(root, path === "" ? "." : path, LIST);
    if ([-ERRNO.ENOENT, -ERRNO.ENOTDIR, -ERRNO.ELOOP, -ERRNO.EXDEV].includes(descriptor)) {
      return null;
    }
    if (descriptor < 0) throw syscallError("openat2", descriptor, `open ${JSON.stringify(path)}`);
    return descriptor;
  }
}

/** What is known of a name while the directories of several layers are merged. */
interface Merged {
  readonly type: number;
  readonly parent: number;
  readonly roots: number[];
  /** Something hides what lower layers have under this name. */
  isClosed: boolean;
}

/** One open directory of a {@link Tree}. */
export class TreeDirectory {
  readonly path: string;
  private readonly parts: readonly { readonly index: number; readonly descriptor: number }[];
  private readonly isMerged: boolean;

  constructor(
    path: string,
    parts: readonly { readonly index: number; readonly descriptor: number }[],
    isMerged: boolean,
  ) {
    this.path = path;
    this.parts = parts;
    this.isMerged = isMerged;
  }

  /** The topmost layer's directory, whose attributes are seen. */
  get descriptor(): number {
    return this.parts[0]?.descriptor ?? -1;
  }

  /** Sorted by name: the same tree gives the same order. */
  entries(): TreeEntry[] {
    const names = new Map<string, Merged>();
    for (const { index, descriptor } of this.parts) {
      for (const { name, type } of readDirectory(descriptor)) {
        this.merge(names, { name, type, index, descriptor });
      }
    }
    const entries: TreeEntry[] = [];
    for (const [name, { type, parent, roots }] of names) {
      if (type === 0) continue;
      const place = type === S_IF.DIR ? { path: this.pathOf(name), roots } : null;
      entries.push({ name, type, parent, place });
    }
    return entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** One name; null when there is none. */
  lookup(name: string): TreeFile | null {
    const roots: number[] = [];
    let top: FileStatus | null = null;
    for (const { index, descriptor } of this.parts) {
      const status = statusAt(descriptor, name);
      if (status === null) continue;
      if (this.isMerged && isWhiteout(status)) break;
      if (!isDirectory(status)) {
        if (top === null) return { status, place: null };
        break;
      }
      top ??= status;
      roots.push(index);
    }
    if (top === null) return null;
    return { status: top, place: { path: this.pathOf(name), roots } };
  }

  close(): void {
    for (const { descriptor } of this.parts) closeDescriptor(descriptor);
  }

  private pathOf(name: string): string {
    return this.path === "" ? name : `${this.path}/${name}`;
  }

  private merge(
    names: Map<string, Merged>,
    found: { name: string; type: number; index: number; descriptor: number },
  ): void {
    const { name, index, descriptor } = found;
    const known = names.get(name);
    if (known?.isClosed === true) return;
    const type = this.typeOf(found);
    if (known !== undefined) {
      if (type === S_IF.DIR) known.roots.push(index);
      else known.isClosed = true;
      return;
    }
    names.set(name, { type, parent: descriptor, roots: [index], isClosed: type !== S_IF.DIR });
  }

  /** 0 for a whiteout, and for what has gone meanwhile. */
  private typeOf({
    name,
    type,
    descriptor,
  }: {
    name: string;
    type: number;
    descriptor: number;
  }): number {
    const isCertain = type !== 0 && !(this.isMerged && type === S_IF.CHR);
    if (isCertain) return type;
    const status = statusAt(descriptor, name);
    if (status === null || (this.isMerged && isWhiteout(status))) return 0;
    return status.mode & S_IFMT;
  }
}

/** Opens roots by their host paths, the lowest first, for the time of one piece of work. */
export async function withRoots<Result>(
  directories: readonly string[],
  work: (roots: readonly number[]) => Promise<Result>,
): Promise<Result> {
  const roots: number[] = [];
  try {
    for (const directory of directories.toReversed()) {
      roots.push(openat2(-100, directory, { flags: O.RDONLY | O.DIRECTORY }));
    }
    return await work(roots);
  } finally {
    roots.forEach(closeDescriptor);
  }
}
