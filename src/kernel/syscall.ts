import { ERRNO, type ErrnoName, errnoName } from "../base/errno.ts";
import { type ErrorCode, TiffinError } from "../base/error.ts";
import { type Architecture, syscallNumber } from "../base/syscall-number.ts";
import { addon, type Word } from "./addon.ts";

export const ARCHITECTURE: Architecture = process.arch === "arm64" ? "arm64" : "x64";

export type SyscallArgument = Word | string;

const CODES: Partial<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EEXIST: "already-exists",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  ENOMEM: "resource-exhausted",
  EMFILE: "resource-exhausted",
  ENFILE: "resource-exhausted",
};

/** A failed system call as an error: `details` holds `syscall` and `errno` (its name). */
export function syscallError(call: string, result: number, doing?: string): TiffinError {
  const errno = errnoName(result);
  const what = errno === "ENOSPC" ? "no space left (ENOSPC)" : errno;
  const message =
    doing === undefined ? `${call} failed: ${what}` : `Cannot ${doing}: ${call}: ${what}`;
  return new TiffinError(CODES[errno] ?? "internal", message, {
    details: { syscall: call, errno },
  });
}

/** The errno name of an error made by {@link syscallError}, else undefined. */
export function errnoOf(error: unknown): ErrnoName | undefined {
  if (!(error instanceof TiffinError)) return undefined;
  const errno = error.details?.["errno"];
  return typeof errno === "string" && errno in ERRNO ? (errno as ErrnoName) : undefined;
}

function numberOf(call: string): number {
  const number = syscallNumber(call, ARCHITECTURE);
  if (number < 0) throw new TiffinError("internal", `No system call "${call}" on ${ARCHITECTURE}`);
  return number;
}

function word(argument: SyscallArgument): Word {
  return typeof argument === "string" ? cString(argument) : argument;
}

/** A NUL-terminated copy; a string with a NUL inside is refused, since the kernel would see a shorter one. */
export function cString(text: string): Uint8Array {
  if (text.includes("\0")) {
    throw new TiffinError(
      "invalid-argument",
      `Cannot use ${JSON.stringify(text)}: it holds a NUL byte`,
    );
  }
  return Buffer.from(`${text}\0`);
}

/** One system call: its result, or the negative errno. Strings go as NUL-terminated bytes. */
export function syscallRaw(call: string, ...args: SyscallArgument[]): number {
  // Nearly all callers bring words: a copy of the list would cost as much as a short call.
  const words = args.some(isText) ? args.map(word) : (args as Word[]);
  return addon.syscall(numberOf(call), ...words);
}

function isText(argument: SyscallArgument): argument is string {
  return typeof argument === "string";
}

/** One system call that must succeed. @throws the error of {@link syscallError} */
export function syscall(call: string, ...args: SyscallArgument[]): number {
  const result = syscallRaw(call, ...args);
  if (result < 0) throw syscallError(call, result);
  return result;
}

/** The address of a buffer's bytes, for structures that hold pointers. Keep the buffer referenced until the call is over. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(addon.addressOf(bytes));
}
