import { failure } from "./failure.ts";

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  ELOOP: "too many levels of symbolic links",
};

/** A file that cannot be opened, in the system's words: `open /x: no such file or directory`. */
export function openError(file: string, error: unknown): Error {
  return fileError("open", file, error);
}

/** The same of any call; an error that has words already stays as it is. */
export function fileError(call: string, file: string, error: unknown): Error {
  const { code, message } = error as { code?: string; message: string };
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error as Error;
  return failure(`${call} ${file}: ${WORDS[code] ?? message}`);
}
