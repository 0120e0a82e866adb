import { isTiffinError, TiffinError } from "../base/error.ts";
import type { ContentStore } from "../images/content-store.ts";
import type { Descriptor } from "../images/manifest.ts";
import type { FileGrowth } from "../images/image-source.ts";
import type { Repository } from "./repository.ts";
import { DEFAULT_RETRIES, Passing, withRetries } from "./retry.ts";

/** So many connections in a row that bring nothing are the end; each request for one is tried more often. */
const FRUITLESS_TRIES = 3;

export interface DownloadOptions {
  readonly signal?: AbortSignal;
  /** Called with the bytes that are there, of `descriptor.size`. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * A blob as the file that it is written to while it comes: what an earlier try brought is there from the start, and a connection
 * that is cut is made again for the rest. At the end of the growth the blob is verified and in the store. What ends before, by a
 * fault of the connection or by the signal, leaves a partial blob for the next try; who stops asking has found the bytes to be bad.
 *
 * @throws unavailable when the bytes are not the blob's: then nothing stays; what the repository throws
 */
export function downloadBlob(
  repository: Repository,
  descriptor: Descriptor,
  store: ContentStore,
  options: DownloadOptions = {},
): AsyncIterable<FileGrowth> {
  const reader = { hasRefused: false };
  const growth = download({ repository, descriptor, store, reader }, options);
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => growth.next(),
      return: () => {
        // Now, and not when what is under way has ended: by then the failure of this layer may have called off all of them.
        reader.hasRefused = options.signal?.aborted !== true;
        return growth.return();
      },
    }),
  };
}

interface Download {
  readonly repository: Repository;
  readonly descriptor: Descriptor;
  readonly store: ContentStore;
  readonly reader: { readonly hasRefused: boolean };
}

async function* download(
  { repository, descriptor, store, reader }: Download,
  { signal, onBytes = () => undefined }: DownloadOptions,
): AsyncGenerator<FileGrowth, void> {
  const partial = await store.openPartial(descriptor.digest);
  let isBad = false;
  try {
    // Another one may have had it open, and brought it.
    if (store.has(descriptor.digest)) {
      yield { path: store.path(descriptor.digest), bytes: descriptor.size };
      return;
    }
    const { path } = partial;
    await partial.hashStored();
    yield { path, bytes: partial.sizeBytes };
    for (let fruitless = 0; partial.sizeBytes < descriptor.size; ) {
      const before = partial.sizeBytes;
      try {
        for await (const chunk of rest(repository, descriptor, before, signal)) {
          await partial.append(chunk);
          onBytes(partial.sizeBytes);
          yield { path, bytes: partial.sizeBytes };
        }
      } catch (error) {
        fruitless = partial.sizeBytes === before ? fruitless + 1 : 0;
        // A connection that brought something may be made again, and one that broke before its first byte a few times.
        if (!(error instanceof Passing) || fruitless === FRUITLESS_TRIES) throw causeOf(error);
      }
    }
    await partial.commit();
  } catch (error) {
    // Bytes of something else are no beginning of the blob.
    isBad = error instanceof TiffinError && error.details?.["isOtherContent"] === true;
    throw named(error, descriptor);
  } finally {
    await partial.close(isBad || reader.hasRefused);
  }
}

/** From `offset` on; a registry that cannot resume sends all again, and what is known of it is passed over. */
async function* rest(
  repository: Repository,
  descriptor: Descriptor,
  offset: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const { offset: start, bytes } = await withRetries(
    () => repository.blob(descriptor, offset, signal),
    DEFAULT_RETRIES,
    signal,
  );
  let known = offset - start;
  for await (const chunk of bytes) {
    if (known >= chunk.length) known -= chunk.length;
    else {
      yield known === 0 ? chunk : chunk.subarray(known);
      known = 0;
    }
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof Passing ? error.cause : error;
}

function named(error: unknown, { digest }: Descriptor): unknown {
  if (!isTiffinError(error, "data-loss", "unavailable")) return error;
  // Data is lost there, not here: nothing that was stored is damaged.
  return new TiffinError("unavailable", `Cannot download blob ${digest}: ${error.message}`, {
    cause: error,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
