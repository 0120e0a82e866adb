/**
 * What a caller may do differently about an error; each code has one HTTP status and one exit status
 * (docs/reference/errors.md). Add one only when a client would act differently.
 */
export type ErrorCode =
  | "invalid-argument"
  | "unauthenticated"
  | "permission-denied"
  | "not-found"
  | "conflict"
  | "already-exists"
  | "not-modified"
  | "unavailable"
  | "resource-exhausted"
  | "not-implemented"
  | "internal"
  | "data-loss"
  | "command-not-executable"
  | "command-not-found";

export interface ErrorOptions {
  /** One action that the reader can take now. */
  readonly hint?: string;
  readonly cause?: unknown;
  /** Facts for programs: names, numbers, paths. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * The one error type. Messages are sentences without a final period that name the action and quote values:
 * `Cannot start container "web": port 8080 is already in use`.
 */
export class TiffinError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "TiffinError";
    this.code = code;
    this.hint = options.hint;
    this.details = options.details;
  }
}

/** True for a TiffinError of one of the codes given (of any code when none is given). */
export function isTiffinError(error: unknown, ...codes: ErrorCode[]): error is TiffinError {
  return error instanceof TiffinError && (codes.length === 0 || codes.includes(error.code));
}

export function invalidArgument(message: string, hint?: string): TiffinError {
  return new TiffinError("invalid-argument", message, hint === undefined ? {} : { hint });
}

/** The words of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
