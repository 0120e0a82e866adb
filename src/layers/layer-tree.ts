import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  type At,
  closeDescriptor,
  fchmodat,
  fchownat,
  fgetxattr,
  flistxattr,
  fsetxattr,
  mkdirat,
  openat2,
  openat2Raw,
  statusAt,
  statusOf,
  unlinkat,
  utimensat,
} from "../kernel/files.ts";
import { O, RESOLVE } from "../kernel/flags.ts";
import { errnoOf, syscallError } from "../kernel/syscall.ts";
import { componentsOf, isWhiteout, OPAQUE_ATTRIBUTE, Stack } from "./stack.ts";
import type { MergedNode } from "./stack.ts";

const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
/** Parents kept open; archives list a directory's files together, so few are enough. */
const OPEN_PARENTS = 32;

/** A directory of the layer, open. The descriptor belongs to the tree; the two that were asked for last are valid. */
export interface OpenParent {
  readonly descriptor: number;
  /** Where it is in the layer, free of links; "" is the root. */
  readonly path: string;
}

const SET_GROUP = 0o2000;
const DEFAULT_ACL = "system.posix_acl_default";

/** The attributes with which a missing parent directory is made when no lower layer has it. */
const DEFAULT_MODE = 0o755;

/**
 * The directories of a layer that is being unpacked. Finds parents below the root descriptor without leaving it, and
 * makes those that the archive does not bring, as unpacking onto the merged view would: what the lower layers hold
 * under that path gives the attributes, and a link there is followed to where it leads in the merged view.
 */
export class LayerTree {
  private readonly root: number;
  private readonly openLower: () => readonly number[];
  private readonly maximumDepth: number;
  private readonly goesAhead: boolean;
  private lowerRoots: readonly number[] | null = null;
  private merged: { readonly stack: Stack; readonly lowerRoot: MergedNode | null } | null = null;
  /** Directories that were made without a look at the layers below, parents first. */
  private readonly ahead = new Set<string>();
  /** This layer hides something of the layers below. */
  private hasMarks = false;
  private readonly open = new Map<string, OpenParent>();
  private hasHeirs = false;
  /** Times of directories, set when all is unpacked, since each new name in a directory changes its time. */
  private readonly times = new Map<string, bigint>();

  /**
   * `root` and what `openLower` returns (the topmost first) are descriptors that stay the caller's. It is called when the
   * lower layers are first needed, which most archives never do: they bring all their directories. With `goesAhead` others are
   * looked at in the end only ({@link settle}).
   */
  constructor(
    root: number,
    openLower: () => readonly number[],
    options: { readonly maximumDepth: number; readonly goesAhead: boolean },
  ) {
    this.root = root;
    this.openLower = openLower;
    this.maximumDepth = options.maximumDepth;
    this.goesAhead = options.goesAhead;
    this.noteDirectory(statusOf(root).mode, flistxattr(root));
  }

  /** True once a directory may give what is made in it a group or an access list. */
  get bequeaths(): boolean {
    return this.hasHeirs;
  }

  /** To be called with what a directory gets. */
  noteDirectory(mode: number, attributes: Iterable<string>): void {
    if ((mode & SET_GROUP) !== 0 || [...attributes].includes(DEFAULT_ACL)) this.hasHeirs = true;
  }

  private get lower(): readonly number[] {
    this.lowerRoots ??= this.openLower();
    return this.lowerRoots;
  }

  private get view(): { readonly stack: Stack; readonly lowerRoot: MergedNode | null } {
    if (this.merged !== null) return this.merged;
    const { lower } = this;
    const [first] = lower;
    const lowerRoot: MergedNode | null =
      first === undefined ? null : { path: "", layer: 1, status: statusOf(first), directory: null };
    this.merged = { stack: new Stack([this.root, ...lower]), lowerRoot };
    return this.merged;
  }

  /** The directory that holds an entry. Missing directories are made, with `mtimeNs` where no lower layer gives a time. */
  parent(components: readonly string[], mtimeNs: bigint): OpenParent {
    return (
      this.existing(components) ??
      this.makeAhead(components, mtimeNs) ??
      this.make(components, mtimeNs)
    );
  }

  /** As {@link parent}, null when this layer itself does not have it. */
  existingParent(components: readonly string[]): OpenParent | null {
    const direct = this.existing(components);
    if (direct !== null) return direct;
    const own = new Stack([this.root]);
    const resolved = own.resolve(components.join("/"), { followLast: true, atRoot: "refuse" });
    if (resolved?.node?.directory == null || resolved.missing.length > 0) return null;
    return this.existing(componentsOf(resolved.directory.path));
  }

  /** To be called when a directory or link was replaced: open parents may not be what their names say any more. */
  forget(): void {
    for (const { descriptor } of this.open.values()) closeDescriptor(descriptor);
    this.open.clear();
  }

  /** Of a directory that the archive brings. */
  setTime(path: string, mtimeNs: bigint): void {
    this.times.set(path, mtimeNs);
    this.ahead.delete(path);
  }

  /**
   * Gives the directories that were made ahead what the layers below show for them. False when one of them is something else
   * there, a link most likely: then what is in it belongs elsewhere, and all has to be unpacked again without going ahead.
   */
  settle(): boolean {
    if (this.ahead.size === 0 || this.lower.length === 0) return true;
    const stack = new Stack(this.lower);
    for (const path of this.ahead) {
      const parent = this.existing(componentsOf(path).slice(0, -1));
      const name = componentsOf(path).at(-1) ?? "";
      // Something else came in its place, or in that of a directory above.
      if (parent === null || this.existing(componentsOf(path)) === null) continue;
      const below = directoryBelow(stack, path);
      if (below === undefined) return false;
      if (below === null) continue;
      fchownat([parent.descriptor, name], below.status.uid, below.status.gid);
      this.copyAttributes(stack, below, [parent.descriptor, name]);
      fchmodat([parent.descriptor, name], below.status.mode & 0o7777);
      this.times.set(path, below.status.mtimeNs);
    }
    return true;
  }

  /** Sets the times of directories; those that were replaced later are left alone. */
  applyTimes(): void {
    this.forget();
    for (const [path, mtimeNs] of this.times) {
      const how = { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };
      const descriptor = openat2Raw(this.root, path === "" ? "." : path, how);
      if (descriptor < 0) continue;
      utimensat([descriptor, ""], mtimeNs);
      closeDescriptor(descriptor);
    }
  }

  /** Makes a directory hide what lower layers hold under its name. */
  makeOpaque(parent: number, name: string): void {
    this.hasMarks = true;
    this.withDirectory(parent, name, (directory) =>
      fsetxattr(directory, OPAQUE_ATTRIBUTE, Buffer.from("y")),
    );
  }

  /** Gives the root the attributes that the merged view's root has, for archives that do not name it. */
  adoptRoot(): void {
    const status = statusOf(this.root);
    const lower = this.below("");
    fchownat([this.root, ""], lower?.status.uid ?? 0, lower?.status.gid ?? 0);
    fchmodat([this.root, "."], lower === null ? DEFAULT_MODE : lower.status.mode & 0o7777);
    this.times.set("", lower?.status.mtimeNs ?? status.mtimeNs);
  }

  private existing(components: readonly string[]): OpenParent | null {
    const path = components.join("/");
    const known = this.open.get(path);
    if (known !== undefined) {
      this.open.delete(path);
      this.open.set(path, known);
      return known;
    }
    const how = { flags: O.PATH | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };
    const descriptor = openat2Raw(this.root, path === "" ? "." : path, how);
    if ([-ERRNO.ENOENT, -ERRNO.ENOTDIR, -ERRNO.ELOOP].includes(descriptor)) return null;
    if (descriptor < 0) throw syscallError("openat2", descriptor, `open ${JSON.stringify(path)}`);
    const parent = { descriptor, path };
    this.open.set(path, parent);
    const [oldest] = this.open;
    if (this.open.size > OPEN_PARENTS && oldest !== undefined) {
      closeDescriptor(oldest[1].descriptor);
      this.open.delete(oldest[0]);
    }
    return parent;
  }

  /** What the lower layers show at a path that this layer does not have, if it is a directory. */
  private below(path: string): MergedNode | null {
    if (path === "") return this.view.lowerRoot;
    const node = this.view.stack.resolve(path, { followLast: false, atRoot: "stay" })?.node ?? null;
    return node !== null && node.directory !== null && node.layer > 0 ? node : null;
  }

  /** null when something else than directories is on the way, or the layer hides something: that needs a look at the merged view. */
  private makeAhead(components: readonly string[], mtimeNs: bigint): OpenParent | null {
    if (!this.goesAhead || this.hasMarks || components.length > this.maximumDepth) return null;
    let depth = components.length - 1;
    while (depth > 0 && this.existing(components.slice(0, depth)) === null) depth -= 1;
    const deepest = this.existing(components.slice(0, depth));
    if (deepest === null || statusAt(deepest.descriptor, components[depth] ?? "") !== null) {
      return null;
    }
    for (; depth < components.length; depth++) {
      const parent = this.existing(components.slice(0, depth));
      if (parent === null) return null;
      const name = components[depth] ?? "";
      mkdirat(parent.descriptor, name, 0o700);
      fchownat([parent.descriptor, name], 0, 0);
      fchmodat([parent.descriptor, name], DEFAULT_MODE);
      const path = components.slice(0, depth + 1).join("/");
      this.times.set(path, mtimeNs);
      this.ahead.add(path);
    }
    return this.existing(components);
  }

  private make(components: readonly string[], mtimeNs: bigint): OpenParent {
    const wanted = components.join("/");
    const resolved = this.view.stack.resolve(wanted, { followLast: true, atRoot: "refuse" });
    if (resolved === undefined) {
      throw new TiffinError(
        "invalid-argument",
        `a link in ${JSON.stringify(wanted)} leads out of the layer`,
      );
    }
    if (resolved.node !== null && resolved.node.directory === null) {
      throw syscallError("openat2", -ERRNO.ENOTDIR, `open ${JSON.stringify(wanted)}`);
    }
    const names = [...componentsOf(resolved.directory.path), ...resolved.missing];
    if (names.length > this.maximumDepth) {
      throw new TiffinError(
        "invalid-argument",
        `${JSON.stringify(wanted)} is deeper than ${this.maximumDepth} directories`,
      );
    }
    for (let depth = 1; depth <= names.length; depth++) {
      const path = names.slice(0, depth);
      if (this.existing(path) === null) this.makeOne(path, mtimeNs);
    }
    const made = this.existing(names);
    // Somebody else changes the tree while it is being unpacked; nothing was followed.
    if (made === null)
      throw syscallError("openat2", -ERRNO.ENOENT, `open ${JSON.stringify(wanted)}`);
    return made;
  }

  private makeOne(path: readonly string[], mtimeNs: bigint): void {
    const name = path.at(-1) ?? "";
    const parent = this.existing(path.slice(0, -1));
    if (parent === null)
      throw syscallError("openat2", -ERRNO.ENOENT, `make ${JSON.stringify(name)}`);
    const { descriptor } = parent;
    const there = statusAt(descriptor, name);
    const joined = path.join("/");
    const lower = there === null ? this.below(joined) : null;
    if (there !== null) {
      if (!isWhiteout(there))
        throw syscallError("mkdirat", -ERRNO.ENOTDIR, `make ${JSON.stringify(joined)}`);
      unlinkat(descriptor, name);
    }
    mkdirat(descriptor, name, 0o700);
    this.ahead.delete(joined);
    if (there !== null) this.makeOpaque(descriptor, name);
    fchownat([descriptor, name], lower?.status.uid ?? 0, lower?.status.gid ?? 0);
    if (lower !== null) {
      this.noteDirectory(lower.status.mode, []);
      this.copyAttributes(this.view.stack, lower, [descriptor, name]);
    }
    fchmodat([descriptor, name], lower === null ? DEFAULT_MODE : lower.status.mode & 0o7777);
    this.times.set(joined, lower?.status.mtimeNs ?? mtimeNs);
  }

  private copyAttributes(stack: Stack, from: MergedNode, to: At): void {
    const source = stack.open(from, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      const names = flistxattr(source).filter(
        (attribute) => !attribute.startsWith("trusted.overlay."),
      );
      if (names.length === 0) return;
      this.noteDirectory(0, names);
      this.withDirectory(...to, (directory) => {
        for (const attribute of names) {
          const value = fgetxattr(source, attribute);
          if (value !== null) fsetxattr(directory, attribute, value);
        }
      });
    } finally {
      closeDescriptor(source);
    }
  }

  private withDirectory(parent: number, name: string, use: (directory: number) => void): void {
    const how = { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve: INSIDE };
    const directory = openat2(parent, name, how);
    try {
      use(directory);
    } finally {
      closeDescriptor(directory);
    }
  }
}

/** What layers have at a path, when that is a directory; null when it is nothing; undefined when it is something else, or behind a link. */
function directoryBelow(stack: Stack, path: string): MergedNode | null | undefined {
  let resolved: ReturnType<Stack["resolve"]>;
  try {
    resolved = stack.resolve(path, { followLast: false, atRoot: "refuse" });
  } catch (error) {
    if (["ENOTDIR", "ELOOP"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
  if (resolved === undefined) return undefined;
  const { node, directory, missing } = resolved;
  if (node !== null) return node.directory !== null && node.path === path ? node : undefined;
  return [...componentsOf(directory.path), ...missing].join("/") === path ? null : undefined;
}
