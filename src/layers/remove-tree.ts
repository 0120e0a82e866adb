import { ERRNO } from "../base/errno.ts";
import { TiffinError } from "../base/error.ts";
import {
  closeDescriptor,
  type DirectoryEntry,
  fchmodat,
  openat2,
  openat2Raw,
  readDirectory,
  renameat2Raw,
  statusAt,
  unlinkat,
  unlinkatRaw,
} from "../kernel/files.ts";
import { AT, O, RENAME_NOREPLACE, RESOLVE, S_IF, S_IFMT } from "../kernel/flags.ts";
import { syscallError, syscallRaw } from "../kernel/syscall.ts";

/** Names removed between two pauses: a few milliseconds of work. */
const BATCH = 200;

/**
 * Removes a name and all below it, with pauses for the event loop. What is not there is fine.
 *
 * Needs no memory or descriptors for depth: a directory inside a directory is moved up to the top of the tree first, so
 * that a container cannot build a tree that cannot be removed. Follows no link and crosses no mount.
 * @throws conflict when something is mounted inside (what is outside the mount may be gone by then)
 */
export async function removeTree(path: string): Promise<void> {
  for (const _ of removal(AT.FDCWD, path)) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** As {@link removeTree}, at once, of a name in an open directory. For workers and small trees. */
export function removeTreeSync(directory: number, name: string): void {
  for (const _ of removal(directory, name));
}

function* removal(parent: number, name: string): Generator<void, void> {
  const status = statusAt(parent, name);
  if (status === null) return;
  if ((status.mode & S_IFMT) !== S_IF.DIR) {
    unlinkat(parent, name);
    return;
  }
  const top = openDirectory(parent, name, 0);
  try {
    yield* emptyTop(top);
  } finally {
    closeDescriptor(top);
  }
  removeName(parent, name, AT.REMOVEDIR);
}

function* emptyTop(top: number): Generator<void, void> {
  let moved = 0;
  let removed = 0;
  // Directories that were moved up are found by the next listing.
  for (let entries = readDirectory(top); entries.length > 0; entries = readDirectory(top)) {
    for (const entry of entries) {
      if (!isDirectory(top, entry)) {
        removeName(top, entry.name);
      } else {
        const child = openDirectory(top, entry.name, RESOLVE.NO_XDEV);
        try {
          for (const inner of readDirectory(child)) {
            if (isDirectory(child, inner)) moved = moveUp(child, inner.name, { top, moved });
            else removeName(child, inner.name);
            removed += 1;
            if (removed % BATCH === 0) yield;
          }
        } finally {
          closeDescriptor(child);
        }
        removeName(top, entry.name, AT.REMOVEDIR);
      }
      removed += 1;
      if (removed % BATCH === 0) yield;
    }
  }
}

function isDirectory(parent: number, entry: DirectoryEntry): boolean {
  if (entry.type !== 0) return entry.type === S_IF.DIR;
  return ((statusAt(parent, entry.name)?.mode ?? 0) & S_IFMT) === S_IF.DIR;
}

/** Renames to the first free name; the next number to try. */
function moveUp(from: number, name: string, to: { top: number; moved: number }): number {
  for (let number = to.moved; ; number++) {
    const target = [to.top, `.removed-${number}`] as const;
    const result = retryMutable(from, name, () =>
      renameat2Raw([from, name], target, RENAME_NOREPLACE),
    );
    if (result >= 0) return number + 1;
    if (result !== -ERRNO.EEXIST) throw removalError(name, result);
  }
}

function removeName(parent: number, name: string, flags = 0): void {
  const result = retryMutable(parent, name, () => unlinkatRaw(parent, name, flags));
  if (result < 0 && result !== -ERRNO.ENOENT) throw removalError(name, result);
}

function openDirectory(parent: number, name: string, resolve: number): number {
  const how = { flags: O.RDONLY | O.DIRECTORY | O.NOFOLLOW, resolve };
  let result = openat2Raw(parent, name, how);
  if (result === -ERRNO.EACCES) {
    // Overlay's work/work has mode 000, which only root reads.
    fchmodat([parent, name], 0o700);
    result = openat2Raw(parent, name, how);
  }
  if (result < 0) throw removalError(name, result);
  return result;
}

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const IMMUTABLE_OR_APPEND = 0x10 | 0x20;

/** Files that a privileged container made immutable refuse to go: takes that mark off the name and its directory, then tries again. */
function retryMutable(parent: number, name: string, attempt: () => number): number {
  const result = attempt();
  if (result !== -ERRNO.EPERM) return result;
  clearImmutable(parent, ".");
  clearImmutable(parent, name);
  return attempt();
}

function clearImmutable(parent: number, name: string): void {
  const type = (statusAt(parent, name)?.mode ?? 0) & S_IFMT;
  // Opening a device or a pipe may do things; they cannot carry the mark.
  if (type !== S_IF.DIR && type !== 0o100000) return;
  const how = { flags: O.RDONLY | O.NOFOLLOW | O.NONBLOCK, resolve: RESOLVE.NO_XDEV };
  const file = openat2(parent, name, how);
  const flags = Buffer.alloc(8);
  if (syscallRaw("ioctl", file, FS_IOC_GETFLAGS, flags) >= 0) {
    flags.writeUInt32LE(flags.readUInt32LE() & ~IMMUTABLE_OR_APPEND);
    syscallRaw("ioctl", file, FS_IOC_SETFLAGS, flags);
  }
  closeDescriptor(file);
}

function removalError(name: string, result: number): TiffinError {
  if (result === -ERRNO.EBUSY || result === -ERRNO.EXDEV) {
    return new TiffinError(
      "conflict",
      `Cannot remove ${JSON.stringify(name)}: something is mounted on it`,
      {
        hint: "Unmount it first: findmnt shows where",
      },
    );
  }
  return syscallError("unlinkat", result, `remove ${JSON.stringify(name)}`);
}
