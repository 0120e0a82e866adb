/**
 * The kernel's constants, grouped as the kernel groups them, and only those that are used. Sources: include/uapi/linux/
 * {mount,openat2,sched,fcntl,prctl,securebits,stat,keyctl,bpf,seccomp}.h; equal on x86-64 and arm64 unless said otherwise.
 */

export const O = {
  RDONLY: 0,
  WRONLY: 1,
  RDWR: 2,
  CREAT: 0o100,
  EXCL: 0o200,
  NOCTTY: 0o400,
  NONBLOCK: 0o4000,
  CLOEXEC: 0o2000000,
  PATH: 0o10000000,
  // arm64 swaps these two with O_DIRECT and O_LARGEFILE.
  DIRECTORY: (process.arch === "arm64" ? 0o40000 : 0o200000) as number,
  NOFOLLOW: (process.arch === "arm64" ? 0o100000 : 0o400000) as number,
} as const;

export const RENAME_NOREPLACE = 1;

export const AT = {
  FDCWD: -100,
  SYMLINK_NOFOLLOW: 0x100,
  REMOVEDIR: 0x200,
  EMPTY_PATH: 0x1000,
  RECURSIVE: 0x8000,
} as const;

/** File types of mknod's mode. */
export const S_IF = {
  FIFO: 0o010000,
  CHR: 0o020000,
  DIR: 0o040000,
  BLK: 0o060000,
  REG: 0o100000,
  LNK: 0o120000,
} as const;

/** The type bits of a mode. */
export const S_IFMT = 0o170000;

export const CLONE = {
  NEWTIME: 0x80n,
  FS: 0x200n,
  FILES: 0x400n,
  PIDFD: 0x1000n,
  PARENT: 0x8000n,
  NEWNS: 0x20000n,
  NEWCGROUP: 0x2000000n,
  NEWUTS: 0x4000000n,
  NEWIPC: 0x8000000n,
  NEWUSER: 0x10000000n,
  NEWPID: 0x20000000n,
  NEWNET: 0x40000000n,
  INTO_CGROUP: 0x200000000n,
} as const;

/** Propagation for mount_setattr, flags of umount2. */
export const MS = {
  UNBINDABLE: 0x20000,
  PRIVATE: 0x40000,
  SLAVE: 0x80000,
  SHARED: 0x100000,
} as const;

export const MNT_DETACH = 2;

export const MOUNT_ATTR = {
  RDONLY: 0x1,
  NOSUID: 0x2,
  NODEV: 0x4,
  NOEXEC: 0x8,
  NOATIME: 0x10,
  STRICTATIME: 0x20,
  /** The mask of the access-time choice; must be in attr_clr when one is set on an existing mount. */
  ATIME_MASK: 0x70,
  NODIRATIME: 0x80,
  IDMAP: 0x100000,
  NOSYMFOLLOW: 0x200000,
} as const;

/** Size of struct mount_attr. */
export const MOUNT_ATTR_SIZE = 32;

export const OPEN_TREE = { CLONE: 1, CLOEXEC: 0o2000000 } as const;
export const MOVE_MOUNT = { F_EMPTY_PATH: 0x4, T_EMPTY_PATH: 0x40 } as const;
export const FSOPEN_CLOEXEC = 1;
export const FSMOUNT_CLOEXEC = 1;
export const FSCONFIG = { SET_FLAG: 0, SET_STRING: 1, SET_FD: 5, CMD_CREATE: 6 } as const;

export const RESOLVE = {
  NO_XDEV: 0x1,
  NO_MAGICLINKS: 0x2,
  NO_SYMLINKS: 0x4,
  BENEATH: 0x8,
  IN_ROOT: 0x10,
} as const;

/** Size of struct open_how. */
export const OPEN_HOW_SIZE = 24;

export const PR = {
  SET_DUMPABLE: 4,
  CAPBSET_DROP: 24,
  SET_SECUREBITS: 28,
  SET_NO_NEW_PRIVS: 38,
  CAP_AMBIENT: 47,
  CAP_AMBIENT_CLEAR_ALL: 4,
} as const;

/** A change of fsuid keeps the capabilities over files (capabilities(7)). */
export const SECBIT_NO_SETUID_FIXUP = 0x4;

/** _LINUX_CAPABILITY_VERSION_3: two 32-bit words of each set. */
export const CAPABILITY_VERSION_3 = 0x20080522;

export const SECCOMP = {
  SET_MODE_FILTER: 1,
  FILTER_FLAG_LOG: 2,
  FILTER_FLAG_SPEC_ALLOW: 4,
} as const;

/** Of pseudo terminals (asm-generic/ioctls.h). */
export const TTY_IOCTL = {
  TIOCSCTTY: 0x540e,
  TIOCSWINSZ: 0x5414,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
} as const;

export const BPF = {
  PROG_LOAD: 5,
  PROG_ATTACH: 8,
  PROG_TYPE_CGROUP_DEVICE: 15,
  CGROUP_DEVICE: 6,
  F_ALLOW_MULTI: 2,
} as const;
