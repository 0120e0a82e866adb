import { readFileSync } from "node:fs";
import { ERRNO } from "../base/errno.ts";
import { AT, MNT_DETACH } from "./flags.ts";
import { syscallOnThread } from "./blocking.ts";
import { syscallRaw } from "./syscall.ts";

/** One call of mount(2), as data. */
export interface MountCall {
  readonly source: string;
  readonly target: string;
  /** "" where the flags make it another thing than a new mount. */
  readonly type: string;
  readonly flags: number;
  /** For the file system; "" is none. */
  readonly data: string;
}

const UMOUNT_NOFOLLOW = 8;
const AT_NO_AUTOMOUNT = 0x800;
/** Not a word to a server: it may be gone. */
const AT_STATX_DONT_SYNC = 0x4000;
const STATX_SIZE = 256;
/** struct statx: stx_attributes. */
const ATTRIBUTES_OFFSET = 8;
const STATX_ATTR_MOUNT_ROOT = 0x2000n;

/** Types whose mount answers at once, without a network and without reading a disk. */
const QUICK_TYPES = ["tmpfs", "ramfs", "none", "bind", ""];

/** mount(2): 0, or the negative errno. One that may have to wait for a server or a disk gets a thread of its own. */
export async function mountRaw({ source, target, type, flags, data }: MountCall): Promise<number> {
  const args = [source, target, type || null, flags, data || null] as const;
  return QUICK_TYPES.includes(type)
    ? syscallRaw("mount", ...args)
    : syscallOnThread("mount", ...args);
}

/**
 * Takes a mount out of the tree at once; who still uses it keeps it. Follows no link. 0, or the negative errno.
 * @param type of its file system: the last use of one on a server may wait for that
 */
export async function unmountRaw(target: string, type: string): Promise<number> {
  const flags = MNT_DETACH | UMOUNT_NOFOLLOW;
  return QUICK_TYPES.includes(type)
    ? syscallRaw("umount2", target, flags)
    : syscallOnThread("umount2", target, flags);
}

/** Whether something is mounted at the path itself (Linux 5.8). False for what is not there. */
export function isMountPoint(path: string): boolean {
  const bytes = Buffer.alloc(STATX_SIZE);
  const flags = AT.SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  const result = syscallRaw("statx", AT.FDCWD, path, flags, 0, bytes);
  // A network's file system whose server is gone: it is mounted all the same.
  if (result === -ERRNO.ESTALE) return true;
  if (result < 0) return false;
  return (bytes.readBigUInt64LE(ATTRIBUTES_OFFSET) & STATX_ATTR_MOUNT_ROOT) !== 0n;
}

/** Paths of all mounts in this process' tree, in the order in which they were made. */
export function mountPaths(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((path) => path !== "")
    .map((path) =>
      path.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      ),
    );
}
