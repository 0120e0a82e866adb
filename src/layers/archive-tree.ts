import { ERRNO } from "../base/errno.ts";
import {
  closeDescriptor,
  type FileStatus,
  fileSystemOf,
  openat2,
  openat2Raw,
  readAt,
  readlinkat,
  statusOf,
} from "../kernel/files.ts";
import { AT, O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { syscallError } from "../kernel/syscall.ts";
import { archivedAttributes } from "./archive-attributes.ts";
import { type ArchiveOutput, TarOutput } from "./archive-output.ts";
import { isOpaqueDirectory, isWhiteout } from "./stack.ts";
import type { TarEntryType } from "./tar-entry.ts";
import type { Tree, TreeDirectory } from "./tree.ts";

export interface ArchiveOptions {
  /** What stands in front of the names below the root: `etc`, `.`, "" (then the root itself has no entry) or `/`. */
  readonly base: string;
  /** First host id of the container's range: the archive has the container's ids. 0 where they are the same. */
  readonly idBase: number;
  /** An upper directory of overlayfs: whiteouts and opaque directories are written as the image specification has them. */
  readonly asLayer?: boolean;
  /** Paths (without a leading slash) that are left out, with all below them. */
  readonly leftOut?: ReadonlySet<string>;
  /** Called often; what it throws ends the work. */
  readonly checkpoint?: () => void;
  /** What becomes of the entries; default: an archive. */
  readonly output?: ArchiveOutput;
  /** Leave the files' extended attributes out. */
  readonly withoutAttributes?: boolean;
  /** Nobody puts a device in a file's place between two looks, or it could not be opened: files are opened at once. */
  readonly isTrusted?: boolean;
}

const TYPES: Readonly<Record<number, TarEntryType>> = {
  [S_IF.REG]: "file",
  [S_IF.LNK]: "symlink",
  [S_IF.CHR]: "character-device",
  [S_IF.BLK]: "block-device",
  [S_IF.DIR]: "directory",
  [S_IF.FIFO]: "fifo",
};

const HOLD = {
  flags: O.PATH | O.NOFOLLOW,
  resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS,
};
const READ = { flags: O.RDONLY | O.NOCTTY };
/** Neither waits for a pipe's writer nor follows a link. */
const READ_AT_ONCE = { ...HOLD, flags: O.RDONLY | O.NOCTTY | O.NOFOLLOW | O.NONBLOCK };
const NOBODY = 65534;
const RANGE_SIZE = 0x10000;
const SECOND = 1_000_000_000n;

/**
 * File systems that show the kernel's own things (proc, sysfs, cgroup, cgroup2, devpts, mqueue, debugfs, tracefs, securityfs,
 * bpf): sizes there mean nothing, and the engine would see more in them than the container. Source: <linux/magic.h>.
 */
const KERNEL_FILE_SYSTEMS = new Set([
  0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1, 0x19800202, 0x64626720, 0x74726163, 0x73636673,
  0xcafe4a11,
]);

export function isKernelFileSystem(descriptor: number): boolean {
  return KERNEL_FILE_SYSTEMS.has(fileSystemOf(descriptor).type);
}

/**
 * A tree as a tar archive (PAX), in chunks. Sorted and without anything of the moment: the same tree gives the same bytes. Times
 * are whole seconds, as docker's. Directories come before what is in them, a file with several names once and then as hard links;
 * sockets are left out, and so is what is mounted from the kernel (`/proc`, `/sys`), of which the directory alone is written.
 * A file that shrinks meanwhile is filled up with zeros, as GNU tar does.
 */
export function* archiveTree(tree: Tree, options: ArchiveOptions): Generator<Uint8Array, void> {
  const writer = new ArchiveWriter(options);
  const places = [tree.top];
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    const directory = tree.open(place);
    if (directory === null) continue;
    try {
      if (!writer.directory(directory)) continue;
      const entries = directory.entries().filter(({ name }) => !writer.leavesOut(directory, name));
      for (const { name, type, parent, place: child } of entries) {
        options.checkpoint?.();
        if (child !== null) continue;
        const isDone =
          type === S_IF.REG && (yield* writer.fileAtOnce(parent, name, directory.path));
        if (!isDone) yield* writer.entry(parent, name, directory.path);
      }
      for (const { place: child } of entries.toReversed()) if (child !== null) places.push(child);
    } finally {
      directory.close();
    }
    yield* writer.takeFull();
  }
  yield* writer.finish();
}

/** As {@link archiveTree}, of one name that is no directory; the archive calls it `options.base`. */
export function* archiveFile(
  at: { readonly parent: number; readonly name: string },
  options: ArchiveOptions,
): Generator<Uint8Array, void> {
  const writer = new ArchiveWriter(options);
  yield* writer.entry(at.parent, at.name, null);
  yield* writer.finish();
}

class ArchiveWriter {
  private readonly options: ArchiveOptions;
  private readonly output: ArchiveOutput;
  /** First names of files that have several, by device and inode. */
  private readonly firstNames = new Map<string, string>();
  private readonly kernelDevices = new Map<bigint, boolean>();

  constructor(options: ArchiveOptions) {
    this.options = options;
    this.output = options.output ?? new TarOutput();
  }

  leavesOut(directory: TreeDirectory, name: string): boolean {
    const { leftOut } = this.options;
    return leftOut?.has(directory.path === "" ? name : `${directory.path}/${name}`) === true;
  }

  /** False: it is not to be entered. */
  directory({ descriptor, path }: TreeDirectory): boolean {
    const status = statusOf(descriptor);
    const name = this.nameOf(path);
    if (name !== "") {
      this.output.entry({ ...this.common(status, name), ...this.attributes(descriptor) });
    }
    if (this.options.asLayer === true && isOpaqueDirectory(descriptor)) {
      this.output.entry({ type: "file", path: this.nameOf(joined(path, ".wh..wh..opq")) });
    }
    let isKernels = this.kernelDevices.get(status.device);
    if (isKernels === undefined) {
      isKernels = isKernelFileSystem(descriptor);
      this.kernelDevices.set(status.device, isKernels);
    }
    return !isKernels;
  }

  /** Opens a file once instead of holding it first. False: this is not for that. */
  *fileAtOnce(parent: number, name: string, directory: string): Generator<Uint8Array, boolean> {
    if (this.options.isTrusted !== true) return false;
    const file = openat2Raw(parent, name, READ_AT_ONCE);
    if (file < 0) return false;
    try {
      const status = statusOf(file);
      if ((status.mode & S_IFMT) !== S_IF.REG || status.links > 1) return false;
      yield* this.content(file, status, this.nameOf(joined(directory, name)));
    } finally {
      closeDescriptor(file);
    }
    yield* this.output.takeFull();
    return true;
  }

  /** `directory` null: the entry is the archive's only one. */
  *entry(parent: number, name: string, directory: string | null): Generator<Uint8Array, void> {
    const held = openat2Raw(parent, name, HOLD);
    // It has gone since the directory was listed.
    if (held === -ERRNO.ENOENT) return;
    if (held < 0) throw syscallError("openat2", held, `open ${JSON.stringify(name)}`);
    try {
      const status = statusOf(held);
      const path = directory === null ? this.options.base : this.nameOf(joined(directory, name));
      if (this.options.asLayer === true && isWhiteout(status)) {
        const whiteout = this.nameOf(joined(directory ?? "", `.wh.${name}`));
        this.output.entry({ type: "file", path: whiteout });
      } else yield* this.held(held, status, path);
    } finally {
      closeDescriptor(held);
    }
    yield* this.output.takeFull();
  }

  takeFull(): Uint8Array[] {
    return this.output.takeFull();
  }

  finish(): Uint8Array[] {
    return this.output.finish();
  }

  private *held(held: number, status: FileStatus, path: string): Generator<Uint8Array, void> {
    const type = TYPES[status.mode & S_IFMT];
    // A socket, or a directory that has taken a file's place meanwhile.
    if (type === undefined || type === "directory") return;
    const first = status.links > 1 ? this.firstName(status, path) : undefined;
    if (first !== undefined) {
      this.output.entry({ ...this.common(status, path), type: "hardlink", linkTarget: first });
    } else if (type === "file") {
      yield* this.file(held, status, path);
    } else {
      const isDevice = type === "character-device" || type === "block-device";
      this.output.entry({
        ...this.common(status, path),
        ...(type === "symlink" ? { linkTarget: readlinkat(held, "") } : {}),
        ...(isDevice ? { deviceMajor: status.major, deviceMinor: status.minor } : {}),
      });
    }
  }

  private *file(held: number, status: FileStatus, path: string): Generator<Uint8Array, void> {
    // What is held is a regular file: opening it does nothing else, whatever stands under its name by now.
    const file = openat2(AT.FDCWD, `/proc/self/fd/${held}`, READ);
    try {
      yield* this.content(file, status, path);
    } finally {
      closeDescriptor(file);
    }
  }

  private *content(file: number, status: FileStatus, path: string): Generator<Uint8Array, void> {
    const { sizeBytes } = status;
    const header = { ...this.common(status, path), ...this.attributes(file), sizeBytes };
    this.output.entry(header);
    let position = 0;
    while (position < sizeBytes) {
      const space = this.output.space(sizeBytes - position);
      const read = readAt(file, space, position);
      space.fill(0, read);
      this.output.took(space.length);
      position += space.length;
      this.options.checkpoint?.();
      yield* this.output.takeFull();
    }
    this.output.endContent(sizeBytes);
  }

  /** The name under which a file with several is in the archive already; else it is remembered. */
  private firstName({ device, inode }: FileStatus, path: string): string | undefined {
    const key = `${device}:${inode}`;
    const first = this.firstNames.get(key);
    if (first === undefined) this.firstNames.set(key, path);
    return first;
  }

  private common(
    status: FileStatus,
    path: string,
  ): { type: TarEntryType; path: string; mode: number; uid: number; gid: number; mtimeNs: bigint } {
    const { mode, mtimeNs } = status;
    const beyond = ((mtimeNs % SECOND) + SECOND) % SECOND;
    return {
      type: TYPES[mode & S_IFMT] ?? "file",
      path,
      mode: mode & 0o7777,
      uid: this.insideId(status.uid),
      gid: this.insideId(status.gid),
      mtimeNs: mtimeNs - beyond,
    };
  }

  /** Ids that the container's range does not hold show as nobody's, as they do inside. */
  private insideId(id: number): number {
    const { idBase } = this.options;
    if (idBase === 0) return id;
    return id >= idBase && id < idBase + RANGE_SIZE ? id - idBase : NOBODY;
  }

  private attributes(descriptor: number): { xattrs?: ReadonlyMap<string, Uint8Array> } {
    if (this.options.withoutAttributes === true) return {};
    const xattrs = archivedAttributes(descriptor, { accessLists: this.options.idBase === 0 });
    return xattrs === undefined ? {} : { xattrs };
  }

  private nameOf(path: string): string {
    const { base } = this.options;
    if (base === "" || path === "") return base === "" ? path : base;
    return base === "/" ? `/${path}` : `${base}/${path}`;
  }
}

function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}
