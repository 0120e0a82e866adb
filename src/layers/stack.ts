import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  fgetxattr,
  type FileStatus,
  openat2,
  openat2Raw,
  readDirectory,
  readlinkat,
  statusOf,
} from "../kernel/files.ts";
import { O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { syscallError } from "../kernel/syscall.ts";

/** Marks a directory that hides what lower layers hold under its name. */
export const OPAQUE_ATTRIBUTE = "trusted.overlay.opaque";
const MAXIMUM_LINKS = 40;
const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;

/** A directory of the merged view: where it is (no links, "" is the root) and which layers contribute to it, the topmost first. */
export interface MergedDirectory {
  readonly path: string;
  readonly layers: readonly number[];
}

/** What the merged view shows under a name. */
export interface MergedNode {
  readonly path: string;
  /** Index of the topmost layer that has it. */
  readonly layer: number;
  readonly status: FileStatus;
  /** Set when it is a directory. */
  readonly directory: MergedDirectory | null;
}

export interface Resolved {
  /** The last directory that exists. */
  readonly directory: MergedDirectory;
  /** Names after it that do not exist. */
  readonly missing: readonly string[];
  /** What is at the path itself, when it exists. */
  readonly node: MergedNode | null;
}

export interface ResolveOptions {
  /** Follow a link that is the path's last name. */
  readonly followLast: boolean;
  /** `..` at the root: stays there, as in a chroot, or is refused (undefined is answered). */
  readonly atRoot: "stay" | "refuse";
}

export function isWhiteout(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IF.CHR && status.major === 0 && status.minor === 0;
}

export function isDirectory(status: FileStatus): boolean {
  return (status.mode & S_IFMT) === S_IF.DIR;
}

/** True for an open directory that hides what lower layers have under its name. */
export function isOpaqueDirectory(directory: number): boolean {
  return fgetxattr(directory, OPAQUE_ATTRIBUTE)?.[0] === 0x79;
}

/** `./a//b/` -> `["a", "b"]`; `..` stays. */
export function componentsOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

/**
 * Layers seen as overlayfs merges them, without a mount: the topmost has precedence, whiteouts and opaque directories hide.
 * Every look goes through a layer's own descriptor and follows no link by itself, so nothing outside is ever reached, not
 * even when a container changes its layer meanwhile. Source: kernel Documentation/filesystems/overlayfs.rst.
 */
export class Stack {
  private readonly roots: readonly number[];

  /** Descriptors of the layers' roots, the topmost first; they stay the caller's. */
  constructor(roots: readonly number[]) {
    this.roots = roots;
  }

  root(): MergedDirectory {
    const layers: number[] = [];
    for (let layer = 0; layer < this.roots.length; layer++) {
      layers.push(layer);
      if (this.isOpaque(layer, ".")) break;
    }
    return { path: "", layers };
  }

  /** One name in a directory of the merged view; null when there is none. */
  lookup(parent: MergedDirectory, name: string): MergedNode | null {
    const path = parent.path === "" ? name : `${parent.path}/${name}`;
    const layers: number[] = [];
    let top: { layer: number; status: FileStatus } | null = null;
    for (const layer of parent.layers) {
      const status = this.statusIn(layer, path);
      if (status === null) continue;
      if (isWhiteout(status)) break;
      if (!isDirectory(status)) {
        if (top !== null) break;
        return { path, layer, status, directory: null };
      }
      top ??= { layer, status };
      layers.push(layer);
      if (this.isOpaque(layer, path)) break;
    }
    return top === null ? null : { path, ...top, directory: { path, layers } };
  }

  /** What the merged view shows in a directory, each name once. */
  *list(directory: MergedDirectory): Generator<{ name: string; node: MergedNode }> {
    const names = new Set<string>();
    for (const layer of directory.layers) {
      const descriptor = this.open(
        { layer, path: directory.path },
        O.RDONLY | O.DIRECTORY | O.NOFOLLOW,
      );
      try {
        for (const { name } of readDirectory(descriptor)) names.add(name);
      } finally {
        closeDescriptor(descriptor);
      }
    }
    for (const name of names) {
      const node = this.lookup(directory, name);
      if (node !== null) yield { name, node };
    }
  }

  /**
   * Walks a path as the kernel would below this root.
   * @returns undefined only when `..` leads out and `atRoot` is "refuse"
   * @throws not-found ENOTDIR or ELOOP, as system call errors
   */
  resolve(path: string, options: ResolveOptions): Resolved | undefined {
    const pending = componentsOf(path).reverse();
    let trail: MergedDirectory[] = [this.root()];
    const missing: string[] = [];
    let links = 0;
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      const parent = trail.at(-1) ?? this.root();
      if (name === "..") {
        if (missing.length > 0) missing.pop();
        else if (trail.length > 1) trail.pop();
        else if (options.atRoot === "refuse") return undefined;
        continue;
      }
      const node = missing.length > 0 ? null : this.lookup(parent, name);
      if (node === null) missing.push(name);
      else if (node.directory !== null) trail.push(node.directory);
      else if (isLink(node) && (pending.length > 0 || options.followLast)) {
        links += 1;
        if (links > MAXIMUM_LINKS) throw syscallError("openat2", ERRNO.ELOOP, `follow ${path}`);
        const target = this.linkTarget(node);
        if (target.startsWith("/")) trail = [this.root()];
        pending.push(...componentsOf(target).reverse());
      } else if (pending.length > 0) {
        throw syscallError("openat2", ERRNO.ENOTDIR, `follow ${JSON.stringify(path)}`);
      } else return { directory: parent, missing: [], node };
    }
    const directory = trail.at(-1) ?? this.root();
    return { directory, missing, node: missing.length > 0 ? null : this.nodeOf(directory) };
  }

  /** Opens what a node is; O_PATH unless other flags are given. */
  open(
    node: { readonly layer: number; readonly path: string },
    flags: number = O.PATH | O.NOFOLLOW,
  ): number {
    const how = { flags, resolve: INSIDE };
    return openat2(this.rootOf(node.layer), node.path === "" ? "." : node.path, how);
  }

  private nodeOf(directory: MergedDirectory): MergedNode | null {
    const layer = directory.layers[0];
    if (layer === undefined) return null;
    const status = this.statusIn(layer, directory.path === "" ? "." : directory.path);
    return status === null ? null : { path: directory.path, layer, status, directory };
  }

  private rootOf(layer: number): number {
    const root = this.roots[layer];
    if (root === undefined) throw new TiffinError("internal", `No layer ${layer} in this stack`);
    return root;
  }

  private statusIn(layer: number, path: string): FileStatus | null {
    const how = { flags: O.PATH | O.NOFOLLOW, resolve: INSIDE };
    const descriptor = openat2Raw(this.rootOf(layer), path, how);
    // A parent that this layer holds as something else than a directory hides nothing here: it does not contribute.
    if ([-ERRNO.ENOENT, -ERRNO.ENOTDIR, -ERRNO.ELOOP].includes(descriptor)) return null;
    if (descriptor < 0)
      throw syscallError("openat2", descriptor, `look at ${JSON.stringify(path)}`);
    try {
      return statusOf(descriptor);
    } finally {
      closeDescriptor(descriptor);
    }
  }

  private isOpaque(layer: number, path: string): boolean {
    const descriptor = this.open({ layer, path }, O.RDONLY | O.DIRECTORY | O.NOFOLLOW);
    try {
      return isOpaqueDirectory(descriptor);
    } finally {
      closeDescriptor(descriptor);
    }
  }

  linkTarget(node: MergedNode): string {
    const descriptor = this.open(node);
    try {
      return readlinkat(descriptor, "");
    } finally {
      closeDescriptor(descriptor);
    }
  }
}

function isLink(node: MergedNode): boolean {
  return (node.status.mode & S_IFMT) === S_IF.LNK;
}
