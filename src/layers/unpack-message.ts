import { type ErrorCode, messageOf, TiffinError } from "../base/error.ts";
import type { UnpackedContent, UnpackTask } from "./unpack-stream.ts";

/** From the engine's thread to the worker. The chunks of the archive follow `start`, unless it names a file. */
export type ToWorker =
  | {
      readonly kind: "start";
      readonly task: UnpackTask;
      readonly file: string | null;
      /** Shared: see {@link CANCELLED} and {@link LOWER_READY}. */
      readonly control: Int32Array;
    }
  | { readonly kind: "chunk"; readonly data: Uint8Array }
  | { readonly kind: "end" }
  /** Wakes a worker that waits for a chunk; `cancelled` says the same to a busy one. */
  | { readonly kind: "cancel" };

/** Places in the shared control words: 1 once the work was called off, 1 once the layers below are whole. */
export const CANCELLED = 0;
export const LOWER_READY = 1;
export const CONTROL_WORDS = 2;

export type FromWorker =
  /** So many more bytes of the archive were taken. */
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
