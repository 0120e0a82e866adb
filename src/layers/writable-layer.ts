import { mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { ERRNO } from "../base/errno.ts";
import { AT, O, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import {
  closeDescriptor,
  fchmod,
  fchownat,
  openat2,
  openat2Raw,
  readDirectory,
  statusAt,
  statusOf,
} from "../kernel/files.ts";
import { syscallError } from "../kernel/syscall.ts";
import { partialName } from "./partial-name.ts";
import { removeTree } from "./remove-tree.ts";
import { isWhiteout } from "./stack.ts";

/**
 * Makes a container's writable directory: `upper`, which keeps what the container changes, and overlayfs's `work`; both on
 * one file system. What is there already stays as it is.
 *
 * Both belong to plain root: a container with a user namespace reaches them through an idmapped mount that shows its own root
 * there, and files keep the container's plain ids on disk. `upper` is the root directory that the container sees, so it takes
 * owner and mode of the topmost layer's root. The directory itself lets nobody but root in: below it are setuid files.
 */
export function makeWritableLayer(directory: string, topLayer?: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const upper = join(directory, "upper");
  if (mkdirSync(upper, { recursive: true, mode: 0o755 }) !== undefined) {
    takeAttributes(upper, topLayer);
  }
  mkdirSync(join(directory, "work"), { recursive: true, mode: 0o700 });
}

/** Owner and mode as the merged root would have without an upper directory; not the umask's. */
function takeAttributes(upper: string, topLayer: string | undefined): void {
  const from = topLayer === undefined ? null : statusAt(AT.FDCWD, topLayer);
  const descriptor = openat2(AT.FDCWD, upper, { flags: O.RDONLY | O.DIRECTORY });
  try {
    fchownat([descriptor, ""], from?.uid ?? 0, from?.gid ?? 0);
    fchmod(descriptor, from === null ? 0o755 : from.mode & 0o7777);
  } finally {
    closeDescriptor(descriptor);
  }
}

/**
 * Removes a directory of a container and all below it: it is gone under its name at once, its files with pauses for the event loop.
 * A crash meanwhile leaves `.removed.PID.START.RANDOM` beside it (partial-name.ts tells whether its process still works).
 * What is not there is fine. Follows no link, crosses no mount, at any depth.
 * @throws conflict when something is mounted inside
 */
export async function removeWritableLayer(directory: string): Promise<void> {
  const away = join(dirname(directory), `.removed.${partialName()}`);
  try {
    renameSync(directory, away);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  await removeTree(away);
}

export interface DiskUsage {
  /** Sizes of the files, each inode once; directories and whiteouts count nothing. docker's "size". */
  readonly sizeBytes: number;
  /** What they take on disk, directories too. */
  readonly diskBytes: number;
}

/** A tree deeper than that is counted to there: each level holds a descriptor. */
const MAXIMUM_DEPTH = 400;
/** Names counted between two pauses. */
const BATCH = 400;

/** Counts a directory with pauses for the event loop, also while a container changes it. Follows no link, crosses no mount. */
export async function diskUsage(directory: string): Promise<DiskUsage> {
  const root = openat2(AT.FDCWD, directory, { flags: O.RDONLY | O.DIRECTORY });
  const count = { sizeBytes: 0, diskBytes: 0, seen: new Set<bigint>() };
  try {
    let names = 0;
    for (const _ of countTree(root, count, 0)) {
      names += 1;
      if (names % BATCH === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  } finally {
    closeDescriptor(root);
  }
  return { sizeBytes: count.sizeBytes, diskBytes: count.diskBytes };
}

interface Count {
  sizeBytes: number;
  diskBytes: number;
  /** Inodes of files with several names. */
  readonly seen: Set<bigint>;
}

function* countTree(directory: number, count: Count, depth: number): Generator<void, void> {
  count.diskBytes += statusOf(directory).blocks * 512;
  for (const { name } of readDirectory(directory)) {
    yield;
    const status = statusAt(directory, name);
    if (status === null || isWhiteout(status)) continue;
    if ((status.mode & S_IFMT) === S_IF.DIR) {
      const child = depth < MAXIMUM_DEPTH ? enter(directory, name) : null;
      if (child === null) continue;
      try {
        yield* countTree(child, count, depth + 1);
      } finally {
        closeDescriptor(child);
      }
    } else if (status.links <= 1 || !count.seen.has(status.inode)) {
      if (status.links > 1) count.seen.add(status.inode);
      count.sizeBytes += status.sizeBytes;
      count.diskBytes += status.blocks * 512;
    }
  }
}

/** Null when it has gone meanwhile, or is another mount. */
function enter(parent: number, name: string): number | null {
  const how = {
    flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW,
    resolve: RESOLVE.NO_XDEV | RESOLVE.NO_SYMLINKS,
  };
  const result = openat2Raw(parent, name, how);
  if (result >= 0) return result;
  if ([-ERRNO.ENOENT, -ERRNO.ENOTDIR, -ERRNO.ELOOP, -ERRNO.EXDEV].includes(result)) return null;
  throw syscallError("openat2", result, `look into ${JSON.stringify(name)}`);
}
