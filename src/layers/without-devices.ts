import { closeDescriptor, openat2 } from "../kernel/files.ts";
import { AT, CLONE, MOUNT_ATTR, MOUNT_ATTR_SIZE, MS, O, OPEN_TREE } from "../kernel/flags.ts";
import { syscall, syscallRaw } from "../kernel/syscall.ts";
import type { TreeRoot } from "./tree-task.ts";

const CLONE_TREE = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH | AT.RECURSIVE;
const WHOLE = AT.EMPTY_PATH | AT.RECURSIVE;

/**
 * A directory of a container that runs, with all that is mounted below it, through mounts of our own on which no device opens:
 * then a file can be opened by its name, whatever somebody in the container puts in its place meanwhile, instead of being held
 * and looked at first. Close it. Changes this thread's mount namespace for a moment.
 * @returns undefined where the kernel does not give one
 */
export function withoutDevices(root: TreeRoot, directory: number): number | undefined {
  // One that does not run is mounted so already.
  if (!("descriptor" in root)) return undefined;
  const home = openat2(AT.FDCWD, "/proc/thread-self/ns/mnt", { flags: O.RDONLY });
  let mounts: number;
  try {
    // Who shares its root directory with other threads may not enter another namespace (setns(2)).
    if (syscallRaw("unshare", Number(CLONE.FS)) < 0) return undefined;
    if (syscallRaw("setns", root.namespace, Number(CLONE.NEWNS)) < 0) return undefined;
    try {
      // Mounts are copied only in their own namespace.
      mounts = syscallRaw("open_tree", directory, "", CLONE_TREE);
    } finally {
      syscall("setns", home, Number(CLONE.NEWNS));
    }
  } finally {
    closeDescriptor(home);
  }
  if (mounts < 0) return undefined;
  const attributes = new BigUint64Array([BigInt(MOUNT_ATTR.NODEV), 0n, BigInt(MS.PRIVATE), 0n]);
  const bytes = new Uint8Array(attributes.buffer);
  if (syscallRaw("mount_setattr", mounts, "", WHOLE, bytes, MOUNT_ATTR_SIZE) >= 0) return mounts;
  closeDescriptor(mounts);
  return undefined;
}
