import { type ErrorCode, messageOf, TiffinError } from "../base/error.ts";
import type { UnpackSource } from "./archive-source.ts";
import type { UnpackedContent, UnpackTask } from "./unpack-stream.ts";

/** From the engine's thread to the worker; what follows goes through the shared memory of an UnpackControl. */
export interface ToWorker {
  readonly task: UnpackTask;
  readonly source: UnpackSource;
  readonly control: SharedArrayBuffer;
}

export type FromWorker =
  /** So many more bytes of the archive were taken: there is room for others. */
  | { readonly kind: "taken"; readonly bytes: number }
  | { readonly kind: "done"; readonly content: UnpackedContent }
  | { readonly kind: "failed"; readonly error: PlainError };

/** An error as data: classes do not survive a message. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | null;
  readonly details: Readonly<Record<string, unknown>>;
}

/** `doing`: what could not be done, for errors that were not foreseen. */
export function plainError(error: unknown, doing = "unpack layer"): PlainError {
  const known = error instanceof TiffinError ? error : null;
  return {
    code: known?.code ?? "internal",
    message: known === null ? `Cannot ${doing}: ${messageOf(error)}` : known.message,
    hint: known?.hint ?? null,
    details: known?.details ?? {},
  };
}

export function errorOf(plain: PlainError): TiffinError {
  const { hint, details } = plain;
  return new TiffinError(plain.code, plain.message, {
    details,
    ...(hint === null ? {} : { hint }),
  });
}
