/** A machine word for the kernel: a number, a bigint, null (0), or a byte array (its address). */
export type Word = number | bigint | null | Uint8Array;

interface Addon {
  syscall(number: number, ...args: Word[]): number;
  addressOf(bytes: Uint8Array): number;
  spawn(executable: number, name: string, fds: number[]): number;
}

/** The native addon (native/sys.c). Only src/kernel/ may import this. */
// A plain require: `bun build --compile` embeds what it names (it follows neither createRequire nor an import here).
export const addon: Addon = require("../../native/build/sys.node") as Addon;
