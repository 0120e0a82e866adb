import { ERRNO } from "../base/errno.ts";
import {
  closeDescriptor,
  mkdirat,
  openat2,
  openat2Raw,
  statusAt,
  statusOf,
} from "../kernel/files.ts";
import {
  AT,
  CLONE,
  MNT_DETACH,
  MOUNT_ATTR,
  MOUNT_ATTR_SIZE,
  MOVE_MOUNT,
  MS,
  O,
  OPEN_TREE,
  RESOLVE,
} from "../kernel/flags.ts";
import { perform } from "../kernel/perform.ts";
import { syscall, syscallError, syscallRaw } from "../kernel/syscall.ts";
import { planOverlay } from "./overlay-plan.ts";
import { isDirectory } from "./stack.ts";

/** A host path that stands in a container's tree. */
export interface StackBind {
  /** Host path. */
  readonly source: string;
  /** Below the source, found as if that were the root; "" is the source itself. */
  readonly subpath: string;
  /** Absolute, in the container. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Take along what is mounted below it. */
  readonly isRecursive: boolean;
}

/** The root of a container that does not run, as it would be. */
export interface StackRoot {
  /** Host paths of the layers, the lowest first. */
  readonly layers: readonly string[];
  /** Holds `upper` and `work`. */
  readonly writableDirectory: string;
  /** In the order of mounting. */
  readonly binds: readonly StackBind[];
  readonly readOnly: boolean;
  readonly kernel: readonly [major: number, minor: number];
}

export interface MountedStack {
  /** Descriptor of the root. */
  readonly root: number;
  /** Takes everything down again. */
  close(): void;
}

const IN_CONTAINER = RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS;
const REC_SLAVE = 0x4000 | MS.SLAVE;
const CLONE_TREE = OPEN_TREE.CLONE | OPEN_TREE.CLOEXEC | AT.EMPTY_PATH;
const FILES_ALONE = MOUNT_ATTR.NODEV | MOUNT_ATTR.NOSUID | MOUNT_ATTR.NOEXEC;

/**
 * Mounts a container's root for the time of one piece of work, with plain ids (as they are on disk). Nobody else sees the
 * mounts: the root is a detached one, and binds stand in a mount namespace of this very thread, so that nothing is left even
 * when the process is killed. For a thread of its own alone: a mount namespace is the thread's.
 */
export function mountStack(stack: StackRoot): MountedStack {
  const { layers, writableDirectory, kernel, binds } = stack;
  const registers = perform(planOverlay({ layers, writableDirectory, idBase: 0, kernel }));
  const opened = [...registers.values()];
  const root = registers.get("rootfs") ?? -1;
  // Only the mount is needed from here on.
  for (const descriptor of opened)
    if (descriptor > 2 && descriptor !== root) closeDescriptor(descriptor);
  try {
    setAttributes(root, { set: FILES_ALONE });
    if (binds.length === 0) {
      if (stack.readOnly) setAttributes(root, { set: MOUNT_ATTR.RDONLY });
      return { root, close: () => closeDescriptor(root) };
    }
    return mountBinds(stack, root);
  } catch (error) {
    closeDescriptor(root);
    throw error;
  }
}

function mountBinds(stack: StackRoot, root: number): MountedStack {
  const place = stack.writableDirectory;
  const host = openat2(AT.FDCWD, "/proc/thread-self/ns/mnt", { flags: O.RDONLY });
  const close = (): void => {
    closeDescriptor(root);
    syscallRaw("umount2", place, MNT_DETACH);
    syscallRaw("setns", host, Number(CLONE.NEWNS));
    closeDescriptor(host);
  };
  try {
    syscall("unshare", Number(CLONE.NEWNS));
    // What the host unmounts goes here too; what is mounted here stays here.
    syscall("mount", null, "/", null, REC_SLAVE, null);
    syscall("move_mount", root, "", AT.FDCWD, place, MOVE_MOUNT.F_EMPTY_PATH);
    for (const bind of stack.binds) mountBind(root, bind);
    if (stack.readOnly) setAttributes(root, { set: MOUNT_ATTR.RDONLY });
    return { root, close };
  } catch (error) {
    syscallRaw("umount2", place, MNT_DETACH);
    syscallRaw("setns", host, Number(CLONE.NEWNS));
    closeDescriptor(host);
    throw error;
  }
}

function mountBind(root: number, bind: StackBind): void {
  const held = [openat2(AT.FDCWD, bind.source, { flags: O.PATH })];
  const hold = (descriptor: number): number => {
    held.push(descriptor);
    return descriptor;
  };
  try {
    let source = held[0] ?? -1;
    if (bind.subpath !== "") {
      source = hold(openat2(source, bind.subpath, { flags: O.PATH, resolve: IN_CONTAINER }));
    }
    const recursive = bind.isRecursive ? AT.RECURSIVE : 0;
    const mount = hold(syscall("open_tree", source, "", CLONE_TREE | recursive));
    const set = FILES_ALONE | (bind.readOnly ? MOUNT_ATTR.RDONLY : 0);
    setAttributes(mount, { set, propagation: MS.PRIVATE }, recursive);
    const target = hold(openTarget(root, bind.target, isDirectory(statusOf(source))));
    const flags = MOVE_MOUNT.F_EMPTY_PATH | MOVE_MOUNT.T_EMPTY_PATH;
    syscall("move_mount", mount, "", target, "", flags);
  } finally {
    held.forEach(closeDescriptor);
  }
}

/** The place of a bind, made when it is missing, as a start would make it. */
function openTarget(root: number, target: string, wantsDirectory: boolean): number {
  const names = target.split("/").filter((name) => name !== "");
  let parent = openat2(root, "/", { flags: O.PATH | O.DIRECTORY, resolve: IN_CONTAINER });
  try {
    for (let depth = 1; depth <= names.length; depth++) {
      const path = names.slice(0, depth).join("/");
      const isLast = depth === names.length;
      let held = openat2Raw(root, path, { flags: O.PATH, resolve: IN_CONTAINER });
      if (held === -ERRNO.ENOENT && statusAt(parent, names[depth - 1] ?? "") === null) {
        make(parent, names[depth - 1] ?? "", !isLast || wantsDirectory);
        held = openat2Raw(root, path, { flags: O.PATH, resolve: IN_CONTAINER });
      }
      if (held < 0) throw syscallError("openat2", held, `open ${JSON.stringify(target)}`);
      closeDescriptor(parent);
      parent = held;
    }
    return parent;
  } catch (error) {
    closeDescriptor(parent);
    throw error;
  }
}

function make(parent: number, name: string, wantsDirectory: boolean): void {
  if (wantsDirectory) {
    mkdirat(parent, name, 0o755);
    return;
  }
  const flags = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW;
  closeDescriptor(openat2(parent, name, { flags, mode: 0o644, resolve: RESOLVE.BENEATH }));
}

function setAttributes(
  mount: number,
  change: { set: number; propagation?: number },
  flags = 0,
): void {
  const attributes = new BigUint64Array([
    BigInt(change.set),
    0n,
    BigInt(change.propagation ?? 0),
    0n,
  ]);
  const bytes = new Uint8Array(attributes.buffer);
  syscall("mount_setattr", mount, "", AT.EMPTY_PATH | flags, bytes, MOUNT_ATTR_SIZE);
}
