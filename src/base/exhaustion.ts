import { messageOf, TiffinError } from "./error.ts";

/** By the code that node:fs or SQLite gives an error: what is used up, and what helps. */
const EXHAUSTED: Partial<Record<string, { words: string; hint: string }>> = {
  ENOSPC: { words: "no space left on the disk", hint: "Free some space, then try again" },
  EDQUOT: { words: "the disk quota is used up", hint: "Free some space, then try again" },
  SQLITE_FULL: { words: "no space left on the disk", hint: "Free some space, then try again" },
  EMFILE: { words: "too many open files", hint: "Raise the engine's limit: ulimit -n" },
  ENFILE: { words: "too many open files", hint: "Raise /proc/sys/fs/file-max" },
};

/**
 * An error that says that the host has no more of something, as resource-exhausted in words that a user can act upon; every
 * other error as it is.
 * @param action follows "Cannot"; where errors leave the engine nobody knows it any more
 */
export function explainExhaustion(error: unknown, action: string = "go on"): unknown {
  if (error instanceof TiffinError) return error;
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const known = EXHAUSTED[code];
  if (!known) return error;
  return new TiffinError("resource-exhausted", `Cannot ${action}: ${known.words}`, {
    hint: known.hint,
    cause: error,
    details: { error: messageOf(error) },
  });
}
