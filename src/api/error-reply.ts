import { isTiffinError, messageOf } from "../base/error.ts";
import type { ErrorCode } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import { empty, json } from "./reply.ts";
import type { EmptyReply, JsonReply } from "./reply.ts";

const statusOf: Readonly<Record<ErrorCode, number>> = {
  "invalid-argument": 400,
  unauthenticated: 401,
  "permission-denied": 403,
  "not-found": 404,
  conflict: 409,
  "already-exists": 409,
  "not-modified": 304,
  unavailable: 503,
  "resource-exhausted": 503,
  "not-implemented": 501,
  internal: 500,
  "data-loss": 500,
  "command-not-executable": 400,
  "command-not-found": 400,
};

/** Docker's body plus what we know more: `code` for programs, `hint` for the reader. */
export interface ErrorBody {
  readonly message: string;
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

export function errorBody(thrown: unknown): ErrorBody {
  const error = explainExhaustion(thrown);
  if (!isTiffinError(error)) return { message: messageOf(error), code: "internal" };
  return {
    message: error.message,
    code: error.code,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.details === undefined ? {} : { details: plain(error.details) }),
  };
}

/** An error as an answer (docs/reference/errors.md). 304 has no body, by HTTP's rule. */
export function errorReply(thrown: unknown): JsonReply | EmptyReply {
  const error = explainExhaustion(thrown);
  const status = isTiffinError(error) ? statusOf[error.code] : 500;
  return status === 304 ? empty(304) : json(errorBody(error), status);
}

/** JSON has no big integers: as text. */
function plain(details: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(details, (_key, value: unknown) =>
      typeof value === "bigint" ? value.toString() : value,
    ),
  ) as Record<string, unknown>;
}
