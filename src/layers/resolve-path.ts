import { posix } from "node:path";
import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  type FileStatus,
  openat2Raw,
  readlinkat,
  statusOf,
} from "../kernel/files.ts";
import { O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { syscallError } from "../kernel/syscall.ts";
import { isKernelFileSystem } from "./archive-tree.ts";
import { isDirectory } from "./stack.ts";

const IN_CONTAINER = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
const INSIDE = RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS;
const MAXIMUM_LINKS = 255;

/** What is known of a path in a container. */
export interface PathStatus {
  /** The last name of the path as it was asked for; `.` and `/` are names here. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Type and permission bits, as the kernel has them. */
  readonly mode: number;
  readonly mtimeNs: bigint;
  /** Of a link: where it leads in the container, all links followed; else "". */
  readonly linkTarget: string;
}

/** What a path leads to, held: a directory, or a name in one. Close it. */
export interface FoundPath {
  readonly status: PathStatus;
  /** Set for a directory, ready to be listed. */
  readonly directory: number | null;
  /** The directory that holds a name that is no directory. */
  readonly parent: number;
  readonly name: string;
  close(): void;
}

/**
 * A path as docker's `cp` takes it: seen from the root whatever it starts with, `..` taken away beforehand, a trailing `/` or
 * `/.` kept, since it asks for what a link leads to.
 */
export function cleanContainerPath(path: string): string {
  const clean = posix.join("/", path);
  if (path !== "." && !path.endsWith("/.")) return clean;
  return clean.endsWith("/") ? `${clean}.` : `${clean}/.`;
}

/**
 * Finds a path in a container: links on the way are followed inside of it, one at the end is not (unless the path ends in `/`
 * or `/.`). @throws not-found, also for files that only the kernel shows (`/proc/meminfo`)
 */
export function findPath(root: number, asked: string): FoundPath {
  const path = cleanContainerPath(asked);
  const slash = path.lastIndexOf("/");
  const name = path.slice(slash + 1);
  const parent = hold(root, path.slice(0, slash + 1), O.PATH | O.DIRECTORY);
  const opened = [parent];
  try {
    const shown = posix.basename(path) || "/";
    const isDirectoryItself = name === "" || name === ".";
    const held = isDirectoryItself ? parent : holdName(parent, name);
    if (held !== parent) opened.push(held);
    const status = statusOf(held);
    if (isHidden(held, status, root)) throw syscallError("openat2", -ERRNO.ENOENT, `open ${path}`);
    const isLink = (status.mode & S_IFMT) === S_IF.LNK;
    return {
      status: {
        name: shown,
        sizeBytes: status.sizeBytes,
        mode: status.mode,
        mtimeNs: status.mtimeNs,
        linkTarget: isLink ? followLinks(root, path) : "",
      },
      directory: isDirectory(status) ? held : null,
      parent,
      name,
      close: () => opened.forEach(closeDescriptor),
    };
  } catch (error) {
    opened.forEach(closeDescriptor);
    throw error;
  }
}

/** The directory at a path, all links followed inside of the container, and its path then. Close the descriptor. */
export function findDirectory(root: number, asked: string): { descriptor: number; path: string } {
  const path = cleanContainerPath(asked);
  const descriptor = hold(root, path, O.PATH);
  const status = statusOf(descriptor);
  if (!isDirectory(status)) {
    closeDescriptor(descriptor);
    throw new TiffinError("invalid-argument", "extraction point is not a directory");
  }
  if (isKernelFileSystem(descriptor)) {
    closeDescriptor(descriptor);
    throw new TiffinError(
      "permission-denied",
      `${path} is the kernel's: nothing can be copied into it`,
    );
  }
  return { descriptor, path: followLinks(root, path) };
}

/** The directory itself is shown, empty; what is in it is not. */
function isHidden(held: number, status: FileStatus, root: number): boolean {
  if (!isKernelFileSystem(held)) return false;
  if (!isDirectory(status)) return true;
  const above = openat2Raw(held, "..", { flags: O.PATH | O.DIRECTORY });
  if (above < 0) return true;
  const isMountPoint = statusOf(above).device !== status.device;
  closeDescriptor(above);
  return !isMountPoint && statusOf(root).device !== status.device;
}

function hold(root: number, path: string, flags: number): number {
  const result = openat2Raw(root, path, { flags, resolve: IN_CONTAINER });
  if (result < 0) throw syscallError("openat2", result, `open ${JSON.stringify(path)}`);
  return result;
}

function holdName(parent: number, name: string): number {
  const result = openat2Raw(parent, name, { flags: O.PATH | O.NOFOLLOW, resolve: INSIDE });
  if (result < 0) throw syscallError("openat2", result, `open ${JSON.stringify(name)}`);
  return result;
}

/** Where a path leads when all its links are followed inside of the root, also when nothing is there. For showing alone. */
function followLinks(root: number, path: string): string {
  const pending = path.split("/").reverse();
  let done: string[] = [];
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      done.pop();
      continue;
    }
    const target = linkTarget(root, [...done, name].join("/"));
    if (target === null) {
      done.push(name);
      continue;
    }
    links += 1;
    if (links > MAXIMUM_LINKS) throw syscallError("openat2", -ERRNO.ELOOP, `follow ${path}`);
    if (target.startsWith("/")) done = [];
    pending.push(...target.split("/").reverse());
  }
  return `/${done.join("/")}`;
}

function linkTarget(root: number, path: string): string | null {
  const held = openat2Raw(root, path, { flags: O.PATH | O.NOFOLLOW, resolve: IN_CONTAINER });
  if (held < 0) return null;
  try {
    return (statusOf(held).mode & S_IFMT) === S_IF.LNK ? readlinkat(held, "") : null;
  } finally {
    closeDescriptor(held);
  }
}
