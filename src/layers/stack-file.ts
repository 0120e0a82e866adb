import { invalidArgument, TiffinError } from "../base/error.ts";
import { AT, O, S_IF, S_IFMT } from "../kernel/flags.ts";
import { closeDescriptor, openat2, statusOf } from "../kernel/files.ts";
import { errnoOf, syscall } from "../kernel/syscall.ts";
import { Stack } from "./stack.ts";

/** Most such files are smaller. */
const USUAL_BYTES = 4096;

/** Enough for any honest /etc/passwd. */
export const MAXIMUM_STACK_FILE_BYTES: number = 1024 * 1024;

/**
 * Reads a file as a container with these layers (the lowest first, its upper directory last) would see it, without a
 * mount: whiteouts and opaque directories hide, links are followed inside the stack and never out of it.
 * @returns null when there is no such file
 * @throws invalid-argument when it is no regular file, or larger than `maximumBytes`
 */
export function readStackFile(
  directories: readonly string[],
  path: string,
  maximumBytes: number = MAXIMUM_STACK_FILE_BYTES,
): Uint8Array | null {
  const roots: number[] = [];
  try {
    for (const directory of directories.toReversed()) {
      roots.push(openat2(AT.FDCWD, directory, { flags: O.RDONLY | O.DIRECTORY }));
    }
    return readIn(new Stack(roots), path, maximumBytes);
  } finally {
    roots.forEach(closeDescriptor);
  }
}

function readIn(stack: Stack, path: string, maximumBytes: number): Uint8Array | null {
  const node = nodeAt(stack, path);
  if (node === null) return null;
  const found = stack.open(node);
  try {
    // Opening a device or a pipe may do things: the type is asked of what is held, and that very file is opened then.
    const { mode, sizeBytes } = statusOf(found);
    if ((mode & S_IFMT) !== S_IF.REG) throw unreadable(path, "it is no regular file");
    if (sizeBytes > maximumBytes) throw unreadable(path, `it is larger than ${maximumBytes} bytes`);
    const file = openat2(AT.FDCWD, `/proc/self/fd/${found}`, { flags: O.RDONLY });
    try {
      return readAll(file, { path, maximumBytes });
    } finally {
      closeDescriptor(file);
    }
  } finally {
    closeDescriptor(found);
  }
}

function nodeAt(stack: Stack, path: string): { layer: number; path: string } | null {
  try {
    return stack.resolve(path, { followLast: true, atRoot: "stay" })?.node ?? null;
  } catch (error) {
    // As open(2) says it: a file stands where the path needs a directory.
    if (errnoOf(error) === "ENOTDIR") return null;
    throw error;
  }
}

function readAll(file: number, limit: { path: string; maximumBytes: number }): Uint8Array {
  let bytes = Buffer.alloc(USUAL_BYTES);
  let filled = 0;
  for (;;) {
    if (filled === bytes.length) bytes = Buffer.concat([bytes, Buffer.alloc(bytes.length)]);
    const read = syscall("read", file, bytes.subarray(filled), bytes.length - filled);
    if (read === 0) return bytes.subarray(0, filled);
    filled += read;
    if (filled > limit.maximumBytes) {
      throw unreadable(limit.path, `it is larger than ${limit.maximumBytes} bytes`);
    }
  }
}

function unreadable(path: string, problem: string): TiffinError {
  return invalidArgument(`Cannot read ${JSON.stringify(path)} in the image: ${problem}`);
}
