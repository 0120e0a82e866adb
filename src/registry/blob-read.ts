import { messageOf, TiffinError } from "../base/error.ts";
import { Passing } from "./retry.ts";

/** So long a body may send nothing. */
const STALL_MS = 60_000;

/** Bytes of a blob on their way. */
export interface BlobRead {
  /** Where the bytes begin: 0 when the registry would not resume. */
  readonly offset: number;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/**
 * The body of an answer to a blob's request. Its bytes end with {@link Passing} when the connection is cut or stalls: the rest
 * can be asked for. They never are more than `size` says.
 *
 * @throws unavailable when the registry sends more, or answers with another range than was asked for
 */
export function readBlob(
  response: Response,
  { offset, size }: { readonly offset: number; readonly size: number },
): BlobRead {
  const start = response.status === 206 ? rangeStart(response.headers.get("content-range")) : 0;
  if (start !== offset && start !== 0) {
    throw new TiffinError(
      "unavailable",
      `The registry sent bytes from ${start} on where ${offset} was asked for`,
    );
  }
  return { offset: start, bytes: bodyOf(response, size - start) };
}

/** Where the bytes of a Content-Range begin; NaN when it does not say. */
export function rangeStart(field: string | null): number {
  return Number(/^bytes (\d+)-/.exec(field ?? "")?.[1] ?? Number.NaN);
}

async function* bodyOf(response: Response, expected: number): AsyncGenerator<Uint8Array, void> {
  let taken = 0;
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await withinTime(reader.read());
      if (done) break;
      taken += value.length;
      if (taken > expected) {
        throw new TiffinError(
          "unavailable",
          `The registry sends more than the ${expected} bytes that the manifest declares`,
          { details: { isOtherContent: true } },
        );
      }
      yield value;
    }
  } catch (error) {
    throw error instanceof TiffinError ? error : new Passing(cut(taken, expected, error));
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  if (taken < expected) throw new Passing(cut(taken, expected, undefined));
}

async function withinTime<Result>(reading: Promise<Result>): Promise<Result> {
  const stalled = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => stalled.reject(new Error(`nothing came for ${STALL_MS / 1000} seconds`)),
    STALL_MS,
  );
  try {
    return await Promise.race([reading, stalled.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function cut(taken: number, expected: number, cause: unknown): TiffinError {
  const reason = cause === undefined ? "" : `: ${messageOf(cause)}`;
  return new TiffinError(
    "unavailable",
    `The connection ended after ${taken} of ${expected} bytes${reason}`,
    { cause },
  );
}
