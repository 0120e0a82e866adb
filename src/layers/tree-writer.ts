import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  chmodHeld,
  closeDescriptor,
  type FileStatus,
  fchmod,
  fchownat,
  fsetxattrRaw,
  ftruncate,
  linkat,
  mkdirat,
  mknodat,
  openat2,
  openat2Raw,
  type OpenHow,
  setxattrAtRaw,
  statusAt,
  statusOf,
  symlinkat,
  unlinkatRaw,
  utimensat,
  writeAll,
} from "../kernel/files.ts";
import { O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { errnoOf, syscallError } from "../kernel/syscall.ts";
import { attributeFor, isContent } from "./archive-attributes.ts";
import { checkNumbers, inEntry, refused } from "./entry-checks.ts";
import { removeTreeSync } from "./remove-tree.ts";
import { isDirectory } from "./stack.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarEvent } from "./tar-reader.ts";

export interface TreeWriterOptions {
  /** Descriptor of the container's root: no path leads out of it. Null: a link on the way is not followed at all. */
  readonly root: number | null;
  /** Descriptor of the directory to unpack into; both stay the caller's. */
  readonly directory: number;
  /** That directory's path below the root, links resolved, with a leading slash. */
  readonly path: string;
  /** First host id of the container's range; 0 where ids are the same on both sides. */
  readonly idBase: number;
  /** Gives everything to this user (ids as in the container) instead of the archive's owners, or leaves it to who makes it. */
  readonly owner: { readonly uid: number; readonly gid: number } | "maker" | null;
  /** Refuse to replace a directory by something else, and the other way round. */
  readonly keepsKinds: boolean;
}

interface OpenFile {
  readonly descriptor: number;
  readonly entry: TarEntry;
  /** It was made with its mode. */
  readonly hasMode: boolean;
  readonly at: readonly [directory: number, name: string];
}

/** Directories kept open; archives list a directory's files together, so few are enough. */
const OPEN_PARENTS = 32;
const IMPLIED_MODE = 0o755;
const RANGE_SIZE = 0x10000;
/** How often a name is cleared that somebody in the container makes again. */
const ATTEMPTS = 8;
const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
const IN_CONTAINER = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
/** A directory whose group goes to what is made in it. */
const SETGID = 0o2000;
const MODE = 0o7777;
/** What a change of owner or a write takes away. */
const SPECIAL = 0o7000;
/** Shared: what it says is turned into the kernel's form once. */
const FIND = { flags: O.PATH | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };
const FOLLOW = { flags: O.PATH | O.DIRECTORY, resolve: IN_CONTAINER };
const PRIVATE_MODE = 0o600;
/** By mode. */
const creations = new Map<number, OpenHow>();

function creation(mode: number): OpenHow {
  let how = creations.get(mode);
  if (how === undefined) {
    how = { flags: O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode, resolve: INSIDE };
    creations.set(mode, how);
  }
  return how;
}

/**
 * Unpacks an archive into a directory of a container, as docker's `cp` does: onto what is there, following links of the
 * container inside of the container. The container may run and change the tree meanwhile (CVE-2018-15664): every step goes
 * through a descriptor or a resolution below the root's, and no step follows a link at the end of a name.
 */
export class TreeWriter {
  private readonly options: TreeWriterOptions;
  private readonly open = new Map<string, number>();
  /** Open directories that give their group to what is made in them. */
  private readonly groupGivers = new Set<number>();
  /** Of open directories: the last mode that a file made there had as asked for (neither umask nor an access list changed it). */
  private readonly keptModes = new Map<number, number>();
  private readonly times = new Map<string, bigint>();
  private file: OpenFile | null = null;

  constructor(options: TreeWriterOptions) {
    this.options = options;
    this.noteGroup(options.directory);
  }

  /** @throws invalid-argument naming entry and position; resource-exhausted; what the kernel refuses */
  take(event: TarEvent): void {
    if (event.kind === "entry") {
      const { entry } = event;
      inEntry(entry, () => this.begin(entry));
    } else if (this.file !== null) {
      const { file } = this;
      inEntry(file.entry, () => {
        if (event.kind === "data") writeAll(file.descriptor, event.data, event.offset);
        else this.endFile(file);
      });
    }
  }

  /** All entries are in: sets the times of directories, which each new name in them changes. */
  finish(): void {
    this.forget();
    for (const [path, mtimeNs] of this.times) {
      const names = path.split("/");
      const parent = this.existing(names.slice(0, -1));
      const name = names.at(-1) ?? "";
      if (parent >= 0 && statusAt(parent, name) !== null) utimensat([parent, name], mtimeNs);
    }
    this.forget();
  }

  /** Closes what is open, whatever happened; a file that is not whole goes. */
  close(): void {
    if (this.file !== null) {
      const { descriptor, at } = this.file;
      const there = statusAt(...at);
      if (there !== null && there.inode === statusOf(descriptor).inode) unlinkatRaw(...at);
      closeDescriptor(descriptor);
    }
    this.file = null;
    this.forget();
  }

  private begin(entry: TarEntry): void {
    checkNumbers(entry);
    const names = namesIn(entry.path);
    const name = names.at(-1);
    // The directory itself stays as it is.
    if (name === undefined) return;
    const parent = this.parent(names.slice(0, -1));
    switch (entry.type) {
      case "directory":
        this.directory(entry, parent, names);
        return;
      case "hardlink":
        this.link(entry, [parent, name]);
        return;
      case "file":
        this.make(entry, [parent, name], () => {
          this.file = this.makeFile(entry, parent, name);
        });
        return;
      default:
        this.make(entry, [parent, name], () => this.node(entry, [parent, name]));
    }
  }

  /** A file that has its owner at once may have its mode at once too: it holds what it will hold, for whoever may read it then. */
  private makeFile(entry: TarEntry, parent: number, name: string): OpenFile {
    const { mode } = entry;
    const atOnce = (mode & SPECIAL) === 0 && this.isMakers(entry, parent);
    const descriptor = openat2(parent, name, creation(atOnce ? mode : PRIVATE_MODE));
    let hasMode = atOnce && this.keptModes.get(parent) === mode;
    if (atOnce && !hasMode) {
      hasMode = (statusOf(descriptor).mode & MODE) === mode;
      if (hasMode) this.keptModes.set(parent, mode);
    }
    return { descriptor, entry, hasMode, at: [parent, name] };
  }

  /** Makes a name that may be taken: what has it goes first. */
  private make(
    entry: TarEntry,
    at: readonly [number, string],
    create: () => void,
    needed: readonly number[] = [],
  ): void {
    for (let attempt = 1; ; attempt++) {
      try {
        create();
        return;
      } catch (error) {
        if (errnoOf(error) !== "EEXIST" || attempt === ATTEMPTS) throw error;
        const there = statusAt(...at);
        if (there === null) continue;
        this.clear(entry, at, there);
        // What is held may have been reached through a link that has just gone.
        this.forget([at[0], ...needed]);
      }
    }
  }

  private clear(entry: TarEntry, at: readonly [number, string], there: FileStatus): void {
    if (!isDirectory(there)) {
      const result = unlinkatRaw(...at);
      if (result < 0 && result !== -ERRNO.ENOENT) {
        throw syscallError("unlinkat", result, `replace ${JSON.stringify(at[1])}`);
      }
      return;
    }
    if (this.options.keepsKinds) {
      throw refused(
        `cannot overwrite directory ${this.shown(entry)} with non-directory ${JSON.stringify(this.options.path)}`,
      );
    }
    removeTreeSync(...at);
  }

  private directory(entry: TarEntry, parent: number, names: readonly string[]): void {
    const name = names.at(-1) ?? "";
    const there = statusAt(parent, name);
    if (there !== null && !isDirectory(there)) {
      if (this.options.keepsKinds) {
        throw refused(
          `cannot overwrite non-directory ${this.shown(entry)} with directory ${JSON.stringify(this.options.path)}`,
        );
      }
      this.clear(entry, [parent, name], there);
      this.forget([parent]);
    }
    if (there === null || !isDirectory(there)) this.makeDirectory(parent, name, 0o700);
    const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW;
    const descriptor = openat2(parent, name, { flags, resolve: INSIDE });
    try {
      this.setOwner(entry, [descriptor, ""]);
      this.setXattrs(entry, (key, value) => fsetxattrRaw(descriptor, key, value));
      fchmod(descriptor, entry.mode);
    } finally {
      closeDescriptor(descriptor);
    }
    this.times.set(names.join("/"), entry.mtimeNs);
  }

  private node(entry: TarEntry, at: readonly [number, string]): void {
    if (entry.type === "symlink") symlinkat(entry.linkTarget, ...at);
    else if (entry.type === "fifo") mknodat(at, S_IF.FIFO | 0o600);
    else {
      const type = entry.type === "block-device" ? S_IF.BLK : S_IF.CHR;
      mknodat(at, type | 0o600, [entry.deviceMajor, entry.deviceMinor]);
    }
    this.setOwner(entry, at);
    this.setXattrs(entry, (key, value) => setxattrAtRaw(at, key, value));
    if (entry.type !== "symlink") setMode(at, entry.mode);
    utimensat(at, entry.mtimeNs);
  }

  /** In this order: a change of owner clears setuid bits, and like every write it clears capabilities. */
  private endFile({ descriptor, entry, hasMode, at }: OpenFile): void {
    try {
      if (entry.isSparse) ftruncate(descriptor, entry.sizeBytes);
      if (!this.isMakers(entry, at[0])) this.setOwner(entry, [descriptor, ""]);
      this.setXattrs(entry, (key, value) => fsetxattrRaw(descriptor, key, value));
      if (!hasMode) fchmod(descriptor, entry.mode);
      utimensat([descriptor, ""], entry.mtimeNs);
    } finally {
      closeDescriptor(descriptor);
      this.file = null;
    }
  }

  private link(entry: TarEntry, at: readonly [number, string]): void {
    const target = namesIn(entry.linkTarget);
    const targetName = target.at(-1);
    const from = targetName === undefined ? -1 : this.existing(target.slice(0, -1));
    const status = from < 0 || targetName === undefined ? null : statusAt(from, targetName);
    if (targetName === undefined || status === null) {
      throw refused(`it is a hard link to ${JSON.stringify(entry.linkTarget)}, which is not there`);
    }
    if (isDirectory(status)) throw refused("it is a hard link to a directory");
    const there = statusAt(...at);
    // A name of that very file already.
    if (there !== null && there.inode === status.inode && there.device === status.device) return;
    this.make(entry, at, () => linkat([from, targetName], at), [from]);
  }

  private setOwner(entry: TarEntry, at: readonly [number, string]): void {
    const { owner } = this.options;
    if (owner === "maker") return;
    const { uid, gid } = owner ?? entry;
    fchownat(at, this.hostId(uid), this.hostId(gid));
  }

  /** A file that was just made in that directory has its owner already: this thread is the root of the container over files. */
  private isMakers(entry: TarEntry, parent: number): boolean {
    const { owner } = this.options;
    if (owner === "maker") return true;
    const { uid, gid } = owner ?? entry;
    return uid === 0 && gid === 0 && !this.groupGivers.has(parent);
  }

  private hostId(id: number): number {
    const { idBase } = this.options;
    if (idBase === 0) return id;
    if (id >= RANGE_SIZE) {
      throw new TiffinError(
        "invalid-argument",
        `the container has no id ${id}: its ids go from 0 to ${RANGE_SIZE - 1}`,
        { hint: "Change the owner first, or run the container with --userns=host" },
      );
    }
    return idBase + id;
  }

  private setXattrs(entry: TarEntry, set: (name: string, value: Uint8Array) => number): void {
    for (const [name, value] of entry.xattrs) {
      if (!isContent(name)) continue;
      const result = set(name, attributeFor(name, value, this.options.idBase));
      // What this file system or kind of file does not have, docker goes on without as well.
      if (result >= 0 || [-ERRNO.EOPNOTSUPP, -ERRNO.EPERM].includes(result)) continue;
      throw syscallError("setxattr", result, `set the attribute ${JSON.stringify(name)}`);
    }
  }

  /** The directory that holds an entry; missing ones are made. It belongs to the writer. */
  private parent(names: readonly string[]): number {
    const there = this.existing(names);
    if (there >= 0) return there;
    if (there !== -ERRNO.ENOENT) throw syscallError("openat2", there, `open ${names.join("/")}`);
    const name = names.at(-1) ?? "";
    this.makeDirectory(this.parent(names.slice(0, -1)), name, IMPLIED_MODE);
    const made = this.existing(names);
    if (made < 0) throw syscallError("openat2", made, `open ${names.join("/")}`);
    return made;
  }

  private makeDirectory(parent: number, name: string, mode: number): void {
    mkdirat(parent, name, mode);
    const { idBase, owner } = this.options;
    // As the thread makes files as the container's root, this is its own already; without a range, root's.
    if (idBase === 0 && owner !== "maker") fchownat([parent, name], 0, 0);
  }

  /** An open directory below the one to unpack into, or the negative errno. */
  private existing(names: readonly string[]): number {
    if (names.length === 0) return this.options.directory;
    const path = names.join("/");
    const known = this.open.get(path);
    if (known !== undefined) {
      this.open.delete(path);
      this.open.set(path, known);
      return known;
    }
    const { directory, root } = this.options;
    let descriptor = openat2Raw(directory, path, FIND);
    if (root !== null && (descriptor === -ERRNO.ELOOP || descriptor === -ERRNO.ENOTDIR)) {
      // A link of the container: it means what it means inside.
      const whole = `${this.options.path}/${path}`;
      descriptor = openat2Raw(root, whole, FOLLOW);
    }
    if (descriptor < 0) return descriptor;
    this.open.set(path, descriptor);
    this.noteGroup(descriptor);
    const [oldest] = this.open;
    if (this.open.size > OPEN_PARENTS && oldest !== undefined) this.drop(...oldest);
    return descriptor;
  }

  private noteGroup(directory: number): void {
    if ((statusOf(directory).mode & SETGID) !== 0) this.groupGivers.add(directory);
  }

  private drop(path: string, descriptor: number): void {
    closeDescriptor(descriptor);
    this.open.delete(path);
    this.groupGivers.delete(descriptor);
    this.keptModes.delete(descriptor);
  }

  /** Open directories may not be what their names say any more; those that are needed still stay open. */
  private forget(needed: readonly number[] = []): void {
    for (const [path, descriptor] of this.open) {
      if (!needed.includes(descriptor)) this.drop(path, descriptor);
    }
  }

  private shown(entry: TarEntry): string {
    const { path } = this.options;
    return JSON.stringify(`${path === "/" ? "" : path}/${namesIn(entry.path).join("/")}`);
  }
}

/** The mode of a name that was just made: of the thing itself, whoever puts a link in its place meanwhile. */
function setMode(at: readonly [number, string], mode: number): void {
  const held = openat2(at[0], at[1], { flags: O.PATH | O.NOFOLLOW, resolve: INSIDE });
  try {
    const { mode: now } = statusOf(held);
    if ((now & S_IFMT) !== S_IF.LNK) chmodHeld(held, mode);
  } finally {
    closeDescriptor(held);
  }
}

/** The names of a path in an archive, cleaned as docker cleans them. @throws invalid-argument when it leads upwards */
function namesIn(path: string): string[] {
  if (path.includes("\0")) throw refused("its name holds a NUL byte");
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.pop() === undefined)
      throw refused(`the name ${JSON.stringify(path)} leads upwards`);
  }
  return names;
}
