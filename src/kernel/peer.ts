import { readFileSync, readlinkSync, statSync } from "node:fs";
import { syscallRaw } from "./syscall.ts";

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
/** struct ucred: three 32-bit words. */
const CREDENTIALS_BYTES = 12;
/** What decides over files: chown, dac_override, dac_read_search, fowner, fsetid, setgid, setuid, sys_admin, mknod. */
const FILE_CAPABILITIES = [0, 1, 2, 3, 4, 6, 7, 21, 27];

/**
 * The other end of a unix socket was opened by a process that is root, with all capabilities over files, in this process's own
 * mount, user and pid namespaces and root directory: what it asks to be read or written by its path, it could do itself. False
 * when that cannot be told, as for one that has ended, and for any other socket. Source: socket(7), SO_PEERCRED.
 */
export function peerSharesHost(socket: number): boolean {
  const credentials = Buffer.alloc(CREDENTIALS_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(CREDENTIALS_BYTES);
  if (syscallRaw("getsockopt", socket, SOL_SOCKET, SO_PEERCRED, credentials, length) < 0) {
    return false;
  }
  const [pid, uid, gid] = [0, 4, 8].map((at) => credentials.readInt32LE(at));
  if (pid === undefined || pid <= 0 || uid !== 0 || gid !== 0) return false;
  try {
    return isLikeUs(`/proc/${pid}`);
  } catch {
    return false;
  }
}

function isLikeUs(proc: string): boolean {
  const namespaces = ["mnt", "user", "pid"];
  const sameNamespaces = namespaces.every(
    (name) => readlinkSync(`${proc}/ns/${name}`) === readlinkSync(`/proc/self/ns/${name}`),
  );
  return sameNamespaces && sameFile(`${proc}/root`, "/proc/self/root") && ownsFiles(proc);
}

function sameFile(one: string, other: string): boolean {
  const [first, second] = [statSync(one), statSync(other)];
  return first.dev === second.dev && first.ino === second.ino;
}

function ownsFiles(proc: string): boolean {
  const status = readFileSync(`${proc}/status`, "utf8");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const isRoot = /^Uid:\s+0\s+0\s+0\s+0$/m.test(status) && /^Gid:\s+0\s+0\s+0\s+0$/m.test(status);
  return isRoot && FILE_CAPABILITIES.every((bit) => ((effective >> BigInt(bit)) & 1n) === 1n);
}
