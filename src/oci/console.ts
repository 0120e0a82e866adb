import { closeSync, constants, openSync } from "node:fs";
import { basename, dirname } from "node:path";
import { TiffinError } from "../base/error.ts";
import { call, type Operation, type Register, register } from "../base/operation.ts";
import { O } from "../kernel/flags.ts";
import { addressOf, syscallError, syscallRaw } from "../kernel/syscall.ts";
import { planPseudoTerminal } from "../namespaces/devices.ts";
import { cloneTree, moveMount, openTarget } from "../namespaces/mount-operations.ts";

/** The terminal of a process, and who gets its other end. */
export interface ConsolePlan {
  /** Of a unix socket that somebody listens on (--console-socket), or a connected socket that the launcher inherits. */
  readonly socket: string | number;
  readonly owner: number;
  readonly rows: number;
  readonly columns: number;
  /** Of a container's first process, whose terminal is at /dev/console too. */
  readonly isFirst: boolean;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
/** What sun_path holds, its NUL included. */
const LONGEST_PATH = 108;
/** CMSG_LEN and CMSG_SPACE of one descriptor. */
const CONTROL_LENGTH = 20;
const CONTROL_SPACE = 24;

/** Connects to the socket, on the host's side. */
export function planConsoleSocket(console: ConsolePlan | null): Operation[] {
  if (console === null || typeof console.socket === "number") return [];
  const path = Buffer.from(`${console.socket}\0`);
  const address = Buffer.alloc(2 + path.length);
  address.writeUInt16LE(AF_UNIX, 0);
  path.copy(address, 2);
  return [
    call("socket", [AF_UNIX, SOCK_STREAM | O.CLOEXEC, 0], "make a socket for the terminal", {
      result: "console",
    }),
    call(
      "connect",
      [register("console"), address, address.length],
      `connect to the console socket ${console.socket}`,
    ),
  ];
}

/** A console socket whose path fits into an address. @throws invalid-argument when nothing there can be that short */
export function consoleSocketPath(path: string): string {
  if (Buffer.byteLength(path) < LONGEST_PATH) return path;
  // The descriptor stays open until this process ends, after its launcher.
  const directory = openSync(dirname(path), constants.O_RDONLY | constants.O_DIRECTORY);
  const short = `/proc/${process.pid}/fd/${directory}/${basename(path)}`;
  if (Buffer.byteLength(short) < LONGEST_PATH) return short;
  closeSync(directory);
  throw new TiffinError("invalid-argument", `Cannot use the console socket ${path}: too long`);
}

/** A pseudo terminal of the container's own; its master end goes over the socket. In the container's tree. */
export function planConsole(console: ConsolePlan | null): Operation[] {
  if (console === null) return [];
  const { rows, columns, owner } = console;
  const root = register("rootfs");
  return [
    ...planPseudoTerminal({ root, master: "master", slave: "slave", owner, rows, columns }),
    ...(console.isFirst
      ? [
          ...openTarget({ root, path: "/dev/console", kind: "file", result: "target" }),
          cloneTree({
            from: register("slave"),
            result: "console.node",
            recursive: false,
            reason: "clone the terminal's node",
          }),
          moveMount(
            register("console.node"),
            register("target"),
            "mount the terminal at /dev/console",
          ),
        ]
      : []),
    sendDescriptor(
      typeof console.socket === "number" ? console.socket : register("console"),
      register("master"),
    ),
  ];
}

/** sendmsg(2) with one descriptor beside a name. */
function sendDescriptor(socket: Register | number, descriptor: Register): Operation {
  const name = Buffer.from("/dev/pts/ptmx");
  return call(
    "sendmsg",
    [
      socket,
      {
        struct: [
          [8, 0],
          [8, 0],
          [
            8,
            {
              struct: [
                [8, name],
                [8, name.length],
              ],
            },
          ],
          [8, 1],
          [
            8,
            {
              struct: [
                [8, CONTROL_LENGTH],
                [4, SOL_SOCKET],
                [4, SCM_RIGHTS],
                [4, descriptor],
                [4, 0],
              ],
            },
          ],
          [8, CONTROL_SPACE],
          [8, 0],
        ],
      },
      0,
    ],
    "hand the terminal over",
  );
}

/** Takes the one descriptor that comes over a socket; waits for it. @throws internal when none comes */
export function receiveDescriptor(socket: number): number {
  const data = Buffer.alloc(64);
  const vector = new BigUint64Array([addressOf(data), BigInt(data.length)]);
  const control = Buffer.alloc(CONTROL_SPACE);
  const message = new BigUint64Array([
    0n,
    0n,
    addressOf(new Uint8Array(vector.buffer)),
    1n,
    addressOf(control),
    BigInt(control.length),
    0n,
  ]);
  const result = syscallRaw("recvmsg", socket, new Uint8Array(message.buffer), 0x40000000);
  if (result < 0) throw syscallError("recvmsg", result, "take the terminal");
  if (Number(message[5]) < CONTROL_LENGTH) {
    throw new TiffinError("internal", "Cannot take the terminal: none came");
  }
  return control.readInt32LE(16);
}
