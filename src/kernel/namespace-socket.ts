import { CLONE, O } from "./flags.ts";
import { syscall, syscallError, syscallRaw } from "./syscall.ts";

export const AF = { INET: 2, INET6: 10, NETLINK: 16 } as const;
const SOCK_STREAM = 1;

let home: number | undefined;

/**
 * A TCP socket of another process' network namespace: non-blocking, close-on-exec. It stays in that namespace, whoever uses
 * it. This thread enters the namespace for the one call and is back before anything else runs (setns(2) with a pidfd).
 *
 * @param pidfd of a process in the namespace
 * @throws the failed call; ESRCH when the process has ended
 */
export function socketInNamespaceOf(pidfd: number, family: number): number {
  return inNamespaceOf(pidfd, family, SOCK_STREAM | O.NONBLOCK, 0);
}

const SOCK_DGRAM = 2;

/** The same for UDP. */
export function datagramSocketInNamespaceOf(pidfd: number, family: number): number {
  return inNamespaceOf(pidfd, family, SOCK_DGRAM | O.NONBLOCK, 0);
}

const SOCK_RAW = 3;

/** A netlink socket that speaks with another network namespace. @param pidfd of a process in it @throws as above */
export function netlinkSocketInNamespaceOf(pidfd: number, protocol: number): number {
  return inNamespaceOf(pidfd, AF.NETLINK, SOCK_RAW, protocol);
}

function inNamespaceOf(pidfd: number, family: number, type: number, protocol: number): number {
  home ??= syscall("openat", -100, "/proc/thread-self/ns/net", O.RDONLY | O.CLOEXEC, 0);
  const entered = syscallRaw("setns", pidfd, CLONE.NEWNET);
  if (entered < 0) throw syscallError("setns", entered, "enter the network namespace");
  const socket = syscallRaw("socket", family, type | O.CLOEXEC, protocol);
  if (syscallRaw("setns", home, CLONE.NEWNET) < 0) {
    // Everything that this thread did from here on would be done in the container's network.
    console.error("tiffin: cannot leave a container's network namespace: the engine ends");
    process.kill(process.pid, "SIGKILL");
  }
  if (socket < 0) throw syscallError("socket", socket, "make a socket");
  return socket;
}
