import { addon } from "./addon.ts";
import { syscall, syscallError, syscallRaw } from "./syscall.ts";

const MFD_CLOEXEC = 1;
const MFD_ALLOW_SEALING = 2;
const F_ADD_SEALS = 1033;
const ALL_SEALS = 0xf;

/**
 * An anonymous file with the bytes given, its descriptor close-on-exec. Sealed: nobody can change it any more, also not
 * through /proc/PID/exe (memfd_create(2), CVE-2019-5736).
 */
export function createMemoryFile(
  name: string,
  bytes: Uint8Array,
  options: { sealed: boolean },
): number {
  const fd = syscall("memfd_create", name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(syscall("write", fd, rest, rest.length));
  if (options.sealed) syscall("fcntl", fd, F_ADD_SEALS, ALL_SEALS);
  return fd;
}

/**
 * Starts an executable that an open descriptor names, with `fds` as its descriptors 0, 1, 2 ... and nothing else of this
 * process: no environment, no ignored signals. The cost does not grow with this process' memory (clone with CLONE_VM).
 * The caller reaps it with {@link reap}.
 */
export function spawn(executable: number, name: string, fds: number[]): number {
  const pid = addon.spawn(executable, name, fds);
  if (pid < 0) throw syscallError("clone", pid, `start "${name}"`);
  return pid;
}

/** Takes a dead child's status without waiting; true when it is gone (or was no child of this process). */
export function reap(pid: number): boolean {
  return syscallRaw("wait4", pid, null, 1, null) !== 0;
}

/** Two connected unix stream sockets, close-on-exec. */
export function socketPair(): [number, number] {
  const fds = new Int32Array(2);
  syscall("socketpair", 1, 1 | 0o2000000, 0, new Uint8Array(fds.buffer));
  return [fds[0] ?? -1, fds[1] ?? -1];
}

export function closeFd(fd: number): void {
  syscallRaw("close", fd);
}

/** A descriptor that stands for a process (pidfd_open(2)), or undefined when there is no such process. */
export function openProcess(pid: number): number | undefined {
  const fd = syscallRaw("pidfd_open", pid, 0);
  return fd < 0 ? undefined : fd;
}

/** Takes an exclusive lock on an open file without waiting; false when another process holds it (flock(2)). */
export function lockFile(fd: number): boolean {
  return syscallRaw("flock", fd, 2 | 4) === 0;
}
