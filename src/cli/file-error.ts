import { failure } from "./failure.ts";

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EISDIR: "is a directory",
  ENOTDIR: "not a directory",
};

/** A file that cannot be opened, in the system's words: `open /x: no such file or directory`. */
export function openError(file: string, error: unknown): Error {
  const { code = "", message } = error as { code?: string; message: string };
  return failure(`open ${file}: ${WORDS[code] ?? message}`);
}
