import { TiffinError } from "../base/error.ts";
import { O } from "../kernel/flags.ts";
import { closeFd, openProcess } from "../kernel/process.ts";
import { addressOf, syscall, syscallError, syscallRaw } from "../kernel/syscall.ts";
import type { ContainerState } from "./container-status.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const CONTROL_LENGTH = 20;
const CONTROL_SPACE = 24;

/**
 * Hands the descriptor of a seccomp filter's listener on, with the container process state beside it (config-linux.md, "The
 * Container Process State"). @throws when nobody takes it
 */
export function sendListener(
  notify: { readonly path: string; readonly metadata: string },
  pid: number,
  listener: number,
  state: ContainerState,
): void {
  const pidfd = openProcess(pid);
  if (pidfd === undefined) throw new TiffinError("internal", "Cannot take the filter: it is gone");
  const fd = syscall("pidfd_getfd", pidfd, listener, 0);
  closeFd(pidfd);
  const socket = syscall("socket", AF_UNIX, SOCK_STREAM | O.CLOEXEC, 0);
  try {
    const path = Buffer.from(`${notify.path}\0`);
    const address = Buffer.concat([Buffer.from([AF_UNIX, 0]), path]);
    const connected = syscallRaw("connect", socket, address, address.length);
    if (connected < 0) {
      throw syscallError("connect", connected, `reach the seccomp agent at ${notify.path}`);
    }
    const text = Buffer.from(
      JSON.stringify({
        ociVersion: state.ociVersion,
        fds: ["seccompFd"],
        pid,
        metadata: notify.metadata,
        state,
      }),
    );
    const vector = new BigUint64Array([addressOf(text), BigInt(text.length)]);
    const control = Buffer.alloc(CONTROL_SPACE);
    control.writeUInt32LE(CONTROL_LENGTH, 0);
    control.writeUInt32LE(SOL_SOCKET, 8);
    control.writeUInt32LE(SCM_RIGHTS, 12);
    control.writeInt32LE(fd, 16);
    const message = new BigUint64Array([
      0n,
      0n,
      addressOf(new Uint8Array(vector.buffer)),
      1n,
      addressOf(control),
      BigInt(CONTROL_SPACE),
      0n,
    ]);
    syscall("sendmsg", socket, new Uint8Array(message.buffer), 0);
  } finally {
    closeFd(socket);
    closeFd(fd);
  }
}
