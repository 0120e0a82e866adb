import { closeDescriptor, openat2 } from "./files.ts";
import { AT, O } from "./flags.ts";
import { syscallRaw } from "./syscall.ts";

/** ioctl_iflags(2). */
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
const FS_TOPDIR_FL = 0x00020000;

/**
 * Tells the file system that the directories which will be made in this one have nothing to do with each other: ext4 then begins
 * each in another part of the disk. So trees that are written side by side do not wait for each other, and a new one does not
 * begin where one was just deleted (without a journal ext4 steps over each inode that was freed in the last minute, for each
 * file that is made). File systems that do not know it are left as they are.
 */
export function spreadDirectories(path: string): void {
  const directory = openat2(AT.FDCWD, path, { flags: O.RDONLY | O.DIRECTORY });
  try {
    const flags = new Uint32Array(2);
    const bytes = new Uint8Array(flags.buffer);
    if (syscallRaw("ioctl", directory, FS_IOC_GETFLAGS, bytes) < 0) return;
    const [before = 0] = flags;
    if ((before & FS_TOPDIR_FL) !== 0) return;
    flags[0] = before | FS_TOPDIR_FL;
    syscallRaw("ioctl", directory, FS_IOC_SETFLAGS, bytes);
  } finally {
    closeDescriptor(directory);
  }
}
