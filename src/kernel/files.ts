import { ERRNO } from "../base/errno.ts";
import { decodeFileName, encodeFileName } from "./file-name.ts";
import { AT, O } from "./flags.ts";
import { syscallError, syscallRaw } from "./syscall.ts";

export interface OpenHow {
  readonly flags: number;
  readonly mode?: number;
  readonly resolve?: number;
}

export interface FileStatus {
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly inode: bigint;
  /** Of the file system that holds the file, as one number that can be compared. */
  readonly device: bigint;
  readonly sizeBytes: number;
  /** 512-byte blocks that it takes on disk. */
  readonly blocks: number;
  readonly mtimeNs: bigint;
  /** Of a device node. */
  readonly major: number;
  readonly minor: number;
}

export interface DirectoryEntry {
  readonly name: string;
  /** A type as in a mode (S_IF.DIR ...), or 0 where the file system does not tell. */
  readonly type: number;
}

function path(name: string): Uint8Array {
  if (name.includes("\0")) throw syscallError("open", ERRNO.EINVAL, `use ${JSON.stringify(name)}`);
  return encodeFileName(`${name}\0`);
}

function check(result: number, call: string, doing: string): number {
  if (result < 0) throw syscallError(call, result, doing);
  return result;
}

/** The kernel's form of each way to open; most callers have a constant. */
const structures = new WeakMap<OpenHow, Uint8Array>();

function structureOf(how: OpenHow): Uint8Array {
  const known = structures.get(how);
  if (known !== undefined) return known;
  const structure = Buffer.alloc(24);
  structure.writeUInt32LE((how.flags | O.CLOEXEC) >>> 0, 0);
  structure.writeUInt32LE(how.mode ?? 0, 8);
  structure.writeUInt32LE(how.resolve ?? 0, 16);
  structures.set(how, structure);
  return structure;
}

/** openat2(2) with O_CLOEXEC: a descriptor, or the negative errno. */
export function openat2Raw(directory: number, name: string, how: OpenHow): number {
  const structure = structureOf(how);
  for (;;) {
    const result = syscallRaw("openat2", directory, path(name), structure, 24);
    // EAGAIN: a rename elsewhere raced with a resolution of `..`; the kernel asks for another try.
    if (result !== -ERRNO.EAGAIN && result !== -ERRNO.EINTR) return result;
  }
}

/** openat2(2) with O_CLOEXEC; whoever calls closes the descriptor. */
export function openat2(directory: number, name: string, how: OpenHow): number {
  const result = openat2Raw(directory, name, how);
  // Words for what is fine would cost as much as the call.
  if (result < 0) throw syscallError("openat2", result, `open ${JSON.stringify(name)}`);
  return result;
}

export function closeDescriptor(descriptor: number): void {
  // On Linux the descriptor is gone even when close reports an error.
  syscallRaw("close", descriptor);
}

export function mkdirat(directory: number, name: string, mode: number): void {
  check(syscallRaw("mkdirat", directory, path(name), mode), "mkdirat", `make ${quote(name)}`);
}

export function symlinkat(target: string, directory: number, name: string): void {
  const result = syscallRaw("symlinkat", path(target), directory, path(name));
  check(result, "symlinkat", `link ${quote(name)} to ${quote(target)}`);
}

/** A second name for a file; a symbolic link itself is linked, not what it points to. */
export function linkat(from: At, to: At): void {
  const result = syscallRaw("linkat", from[0], path(from[1]), to[0], path(to[1]), 0);
  check(result, "linkat", `link ${quote(to[1])} to ${quote(from[1])}`);
}

/** A name in an open directory. */
export type At = readonly [directory: number, name: string];

/** `mode` holds the type; `device` is [major, minor]. */
export function mknodat(at: At, mode: number, device: readonly [number, number] = [0, 0]): void {
  const result = syscallRaw("mknodat", at[0], path(at[1]), mode, deviceNumber(device));
  check(result, "mknodat", `make the node ${quote(at[1])}`);
}

/** As the kernel packs it (new_encode_dev); both numbers as in makedev(3), limited to 12 and 20 bits. */
function deviceNumber([major, minor]: readonly [number, number]): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** Owner of a name (a link itself), or of `directory` when the name is "". */
export function fchownat(at: At, uid: number, gid: number): void {
  const flags = AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH;
  const result = syscallRaw("fchownat", at[0], path(at[1]), uid, gid, flags);
  check(result, "fchownat", `set the owner of ${quote(at[1])}`);
}

/** Follows a link at the end: only for names that were just made. `descriptor` itself: {@link fchmod}. */
export function fchmodat(at: At, mode: number): void {
  const result = syscallRaw("fchmodat", at[0], path(at[1]), mode);
  check(result, "fchmodat", `set the mode of ${quote(at[1])}`);
}

export function fchmod(descriptor: number, mode: number): void {
  check(syscallRaw("fchmod", descriptor, mode), "fchmod", "set a mode");
}

/** Filled and read by one call at a time. */
const times = new BigInt64Array(4);
const timeBytes = new Uint8Array(times.buffer);

/** Modification and access time, in nanoseconds since the epoch, of a name (a link itself) or, when it is "", of the descriptor. */
export function utimensat(at: At, mtimeNs: bigint): void {
  const billion = 1_000_000_000n;
  const nanoseconds = ((mtimeNs % billion) + billion) % billion;
  const seconds = (mtimeNs - nanoseconds) / billion;
  times[0] = times[2] = seconds;
  times[1] = times[3] = nanoseconds;
  const name = at[1] === "" ? null : path(at[1]);
  const flags = name === null ? 0 : AT.SYMLINK_NOFOLLOW;
  const result = syscallRaw("utimensat", at[0], name, timeBytes, flags);
  if (result < 0) throw syscallError("utimensat", result, `set the time of ${quote(at[1])}`);
}

/** renameat2(2): 0, or the negative errno. */
export function renameat2Raw(from: At, to: At, flags = 0): number {
  return syscallRaw("renameat2", from[0], path(from[1]), to[0], path(to[1]), flags);
}

export function renameat2(from: At, to: At, flags = 0): void {
  const result = renameat2Raw(from, to, flags);
  check(result, "renameat2", `rename ${quote(from[1])} to ${quote(to[1])}`);
}

/** unlinkat(2): 0, or the negative errno. `flags`: 0, or AT.REMOVEDIR. */
export function unlinkatRaw(directory: number, name: string, flags = 0): number {
  return syscallRaw("unlinkat", directory, path(name), flags);
}

export function unlinkat(directory: number, name: string, flags = 0): void {
  check(unlinkatRaw(directory, name, flags), "unlinkat", `remove ${quote(name)}`);
}

/** Target of a symbolic link; of the descriptor itself (O_PATH|O_NOFOLLOW) when the name is "". */
export function readlinkat(directory: number, name: string): string {
  const bytes = Buffer.alloc(4096);
  const result = syscallRaw("readlinkat", directory, path(name), bytes, bytes.length);
  check(result, "readlinkat", `read the link ${quote(name)}`);
  return decodeFileName(bytes.subarray(0, result));
}

const STATX_SIZE = 256;
const STATX_BASIC_STATS = 0x7ff;
/** Filled and read before a look returns. */
const statusBytes = Buffer.alloc(STATX_SIZE);

/** Status of a name (a link itself), or of the descriptor when the name is ""; null when there is no such name. */
export function statusAt(directory: number, name: string): FileStatus | null {
  const bytes = statusBytes;
  const flags = AT.SYMLINK_NOFOLLOW | AT.EMPTY_PATH;
  const result = syscallRaw("statx", directory, path(name), flags, STATX_BASIC_STATS, bytes);
  if (result === -ERRNO.ENOENT) return null;
  check(result, "statx", `look at ${quote(name)}`);
  return {
    mode: bytes.readUInt16LE(28),
    uid: bytes.readUInt32LE(20),
    gid: bytes.readUInt32LE(24),
    links: bytes.readUInt32LE(16),
    inode: bytes.readBigUInt64LE(32),
    device: (BigInt(bytes.readUInt32LE(136)) << 32n) | BigInt(bytes.readUInt32LE(140)),
    sizeBytes: Number(bytes.readBigUInt64LE(40)),
    blocks: Number(bytes.readBigUInt64LE(48)),
    mtimeNs: bytes.readBigInt64LE(112) * 1_000_000_000n + BigInt(bytes.readUInt32LE(120)),
    major: bytes.readUInt32LE(128),
    minor: bytes.readUInt32LE(132),
  };
}

/** Status of an open file. */
export function statusOf(descriptor: number): FileStatus {
  const status = statusAt(descriptor, "");
  if (status === null) throw syscallError("statx", ERRNO.ENOENT, "look at an open file");
  return status;
}

/** What the calls below fill and read before they return: allocating that much for each would cost more than the call. */
const buffer = Buffer.alloc(65536);

/** All names of an open directory but `.` and `..`, in the file system's order. Starts over when called again. */
export function readDirectory(descriptor: number): DirectoryEntry[] {
  const bytes = buffer;
  const entries: DirectoryEntry[] = [];
  check(syscallRaw("lseek", descriptor, 0, 0), "lseek", "list a directory");
  for (;;) {
    const filled = syscallRaw("getdents64", descriptor, bytes, bytes.length);
    if (check(filled, "getdents64", "list a directory") === 0) return entries;
    for (let at = 0; at < filled; at += bytes.readUInt16LE(at + 16)) {
      const name = decodeFileName(bytes.subarray(at + 19, bytes.indexOf(0, at + 19)));
      if (name !== "." && name !== "..") {
        entries.push({ name, type: (bytes[at + 18] ?? 0) << 12 });
      }
    }
  }
}

/** Sets an extended attribute of an open file; the negative errno when the kernel refuses. */
export function fsetxattrRaw(descriptor: number, name: string, value: Uint8Array): number {
  return syscallRaw("fsetxattr", descriptor, path(name), value, value.length, 0);
}

/** Sets an extended attribute of a name in a directory that only the caller writes to; a link itself, not its target. */
export function setxattrAtRaw(at: At, name: string, value: Uint8Array): number {
  const target = path(`/proc/self/fd/${at[0]}/${at[1]}`);
  return syscallRaw("lsetxattr", target, path(name), value, value.length, 0);
}

export function fsetxattr(descriptor: number, name: string, value: Uint8Array): void {
  check(fsetxattrRaw(descriptor, name, value), "fsetxattr", `set the attribute ${quote(name)}`);
}

/** Value of an extended attribute of an open file, null when it has none of that name (or the file system knows none). */
export function fgetxattr(descriptor: number, name: string): Uint8Array | null {
  const bytes = buffer;
  const result = syscallRaw("fgetxattr", descriptor, path(name), bytes, bytes.length);
  if (result === -ERRNO.ENODATA || result === -ERRNO.EOPNOTSUPP) return null;
  check(result, "fgetxattr", `read the attribute ${quote(name)}`);
  return Uint8Array.from(bytes.subarray(0, result));
}

/** Names of the extended attributes of an open file. */
export function flistxattr(descriptor: number): string[] {
  const bytes = buffer;
  const result = syscallRaw("flistxattr", descriptor, bytes, bytes.length);
  if (result === -ERRNO.EOPNOTSUPP) return [];
  check(result, "flistxattr", "list attributes");
  return bytes
    .toString("latin1", 0, result)
    .split("\0")
    .filter((name) => name !== "");
}

export function ftruncate(descriptor: number, sizeBytes: number): void {
  check(
    syscallRaw("ftruncate", descriptor, sizeBytes),
    "ftruncate",
    `make a file ${sizeBytes} bytes long`,
  );
}

/** Writes everything at a position (in bytes); a short write is continued. */
export function writeAll(descriptor: number, data: Uint8Array, position: number): void {
  let rest = data;
  let at = position;
  while (rest.length > 0) {
    const result = syscallRaw("pwrite64", descriptor, rest, rest.length, at);
    if (result === -ERRNO.EINTR) continue;
    if (result < 0) throw syscallError("pwrite64", result, `write ${rest.length} bytes`);
    if (result === rest.length) return;
    rest = rest.subarray(result);
    at += result;
  }
}

/** Reads at a position (in bytes) into `bytes`; fewer than asked only at the end of the file. */
export function readAt(descriptor: number, bytes: Uint8Array, position: number): number {
  let filled = 0;
  while (filled < bytes.length) {
    const rest = filled === 0 ? bytes : bytes.subarray(filled);
    const result = syscallRaw("pread64", descriptor, rest, rest.length, position + filled);
    if (result === -ERRNO.EINTR) continue;
    if (result < 0) throw syscallError("pread64", result, `read ${rest.length} bytes`);
    if (result === 0) break;
    filled += result;
  }
  return filled;
}

/** What kind of file system holds an open file (O_PATH will do), and whether it is mounted read-only there (statfs(2)). */
export function fileSystemOf(descriptor: number): { type: number; readOnly: boolean } {
  const bytes = Buffer.alloc(120);
  check(syscallRaw("fstatfs", descriptor, bytes), "fstatfs", "look at a file system");
  // ST_RDONLY is 1; f_flags stands after eleven words (and f_fsid and f_namelen) on 64-bit machines.
  return { type: bytes.readUInt32LE(0), readOnly: (bytes.readUInt32LE(80) & 1) !== 0 };
}

/**
 * Sets the mode of exactly what a descriptor from O_PATH holds; never of what a link of that name leads to, which fchmodat
 * would do (and a link in a container leads to the host's files).
 */
export function chmodHeld(descriptor: number, mode: number): void {
  const target = path(`/proc/self/fd/${descriptor}`);
  check(syscallRaw("fchmodat", AT.FDCWD, target, mode), "fchmodat", "set a mode");
}

/** Writes all of a file system to disk. Blocks, for seconds on a busy disk: not for the engine's event loop. */
export function syncfs(descriptor: number): void {
  check(syscallRaw("syncfs", descriptor), "syncfs", "write a file system to disk");
}

function quote(name: string): string {
  return JSON.stringify(name);
}
