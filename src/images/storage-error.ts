import { type ErrorCode, messageOf, TiffinError } from "../base/error.ts";

const CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: "not-found",
  EACCES: "permission-denied",
  EPERM: "permission-denied",
  ENOSPC: "resource-exhausted",
  EDQUOT: "resource-exhausted",
  EMFILE: "resource-exhausted",
  ENFILE: "resource-exhausted",
};

/** A failed file operation as the project's error; a TiffinError stays what it is. `action` follows "Cannot". */
export function storageError(action: string, error: unknown): TiffinError {
  if (error instanceof TiffinError) return error;
  const errno = errnoOf(error);
  const isFull = errno === "ENOSPC" || errno === "EDQUOT";
  return new TiffinError(
    CODES[errno ?? ""] ?? "internal",
    `Cannot ${action}: ${isFull ? "no space left on the disk" : messageOf(error)}`,
    {
      cause: error,
      ...(isFull ? { hint: "Free some space, or place the state elsewhere with --root" } : {}),
    },
  );
}

/** The errno name of an error of node:fs. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}
