import { invalidArgument, isTiffinError, TiffinError } from "../base/error.ts";
import type { Digest } from "../base/digest.ts";
import type { Descriptor } from "../images/manifest.ts";
import type { Repository } from "./repository.ts";
import { DEFAULT_RETRIES, Passing, withRetries } from "./retry.ts";

/** Proxies bound what one request may carry; so much nearly all let through. */
const CHUNK_BYTES = 16 << 20;
const SMALLEST_CHUNK_BYTES = 64 << 10;
const SMALLER = 4;
/** "Content Too Large": one request cannot carry it. */
const TOO_LARGE = 413;

export interface Upload {
  readonly descriptor: Descriptor;
  /** The blob's bytes, on the disk: they are sent from there. */
  readonly file: Blob;
  /** Repositories of the same registry that may have the blob. */
  readonly mountFrom: readonly string[];
  /** Called with the bytes that are there, of `descriptor.size`. */
  readonly onBytes: (bytes: number) => void;
  readonly signal: AbortSignal;
}

export type Uploaded =
  | { readonly how: "here" | "sent" }
  | { readonly how: "mounted"; readonly from: string };

/**
 * Brings a blob into a repository: it may be there, or be taken over from another repository, else it is sent, in one request
 * from the file; in several where the registry, or something before it, takes no request so large (distribution-spec v1.1.1,
 * "Push"). Tried again as a whole when the connection breaks.
 *
 * @throws what {@link Repository} throws
 */
export async function uploadBlob(repository: Repository, upload: Upload): Promise<Uploaded> {
  const { descriptor, signal } = upload;
  if (await repository.hasBlob(descriptor.digest)) return { how: "here" };
  for (const from of upload.mountFrom) {
    if (await mountBlob(repository, descriptor.digest, { from, signal }))
      return { how: "mounted", from };
  }
  return withRetries(
    async () => {
      try {
        await send(repository, upload);
        return { how: "sent" } as const;
      } catch (error) {
        signal.throwIfAborted();
        throw mayPass(error) ? new Passing(error) : error;
      }
    },
    DEFAULT_RETRIES,
    signal,
  );
}

/** An upload that the registry lost (404), or lost count of (416), is begun again as one that was cut. */
function mayPass(error: unknown): boolean {
  if (isTiffinError(error, "unavailable")) return true;
  return error instanceof TiffinError && [404, 416].includes(Number(error.details?.["status"]));
}

/** Has a blob taken over from another repository of the same registry; false when the registry does not. */
export async function mountBlob(
  repository: Repository,
  digest: Digest,
  { from, signal }: { readonly from: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const { origin, path, scopes } = repository;
  const response = await origin.send({
    method: "POST",
    target: `/v2/${path}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(from)}`,
    scopes: [...scopes, `repository:${from}:pull`],
    expected: [201, 202, 400, 401, 403, 404, 405],
    signal,
  });
  await response.body?.cancel();
  // 202 has begun an upload, which is of no use without its bytes.
  const location = response.headers.get("location");
  if (response.status === 202 && location !== null) await callOff(repository, location, signal);
  return response.status === 201;
}

async function callOff(
  repository: Repository,
  location: string,
  signal: AbortSignal,
): Promise<void> {
  const { origin, scopes } = repository;
  const response = await origin.send({
    method: "DELETE",
    target: absolute(repository, location),
    scopes,
    expected: [200, 202, 204, 400, 404, 405],
    signal,
  });
  await response.body?.cancel();
}

async function send(repository: Repository, upload: Upload): Promise<void> {
  const { target } = await begin(repository, upload);
  upload.onBytes(0);
  const response = await put(repository, upload, { target, body: upload.file });
  if (response.status === TOO_LARGE) await sendChunks(repository, upload);
  upload.onBytes(upload.descriptor.size);
}

interface Begun {
  readonly target: string;
  /** The least that a piece but the last may have. */
  readonly leastBytes: number;
}

async function begin(repository: Repository, { signal }: Upload): Promise<Begun> {
  const { origin, path, scopes } = repository;
  const response = await origin.send({
    method: "POST",
    target: `/v2/${path}/blobs/uploads/`,
    scopes,
    expected: [202],
    signal,
  });
  const leastBytes = Number(response.headers.get("oci-chunk-min-length") ?? 0) || 0;
  return { target: await nextPlace(repository, response, ""), leastBytes };
}

async function put(
  { origin, scopes }: Repository,
  { descriptor, signal }: Upload,
  { target, body }: { target: string; body?: Blob },
): Promise<Response> {
  const url = new URL(target);
  url.searchParams.set("digest", descriptor.digest);
  const response = await origin.send({
    method: "PUT",
    target: url.href,
    headers: { "content-type": "application/octet-stream" },
    ...(body === undefined ? {} : { body }),
    scopes,
    expected: body === undefined ? [201, 204] : [201, 204, TOO_LARGE],
    signal,
    once: true,
  });
  await response.body?.cancel();
  return response;
}

/** In pieces, smaller ones after each that was too large; the registry may ask for larger ones (OCI-Chunk-Min-Length). */
async function sendChunks(repository: Repository, upload: Upload): Promise<void> {
  for (let chunkBytes = CHUNK_BYTES; ; chunkBytes /= SMALLER) {
    const isThrough = await sendChunksOf(repository, upload, chunkBytes);
    if (isThrough) return;
    if (chunkBytes / SMALLER < SMALLEST_CHUNK_BYTES) {
      throw new TiffinError(
        "resource-exhausted",
        `The registry takes no request with as much as ${chunkBytes} bytes (status 413)`,
        { hint: "Let the registry, or the proxy before it, take larger requests" },
      );
    }
  }
}

/** False: they are too large. */
async function sendChunksOf(
  repository: Repository,
  upload: Upload,
  wantedBytes: number,
): Promise<boolean> {
  const { origin, scopes } = repository;
  const { descriptor, file, signal } = upload;
  const begun = await begin(repository, upload);
  let target = begun.target;
  const chunkBytes = Math.max(wantedBytes, begun.leastBytes);
  for (let at = 0; at < descriptor.size; ) {
    const end = Math.min(at + chunkBytes, descriptor.size);
    const response = await origin.send({
      method: "PATCH",
      target,
      headers: {
        "content-type": "application/octet-stream",
        "content-range": `${at}-${end - 1}`,
      },
      body: file.slice(at, end),
      scopes,
      expected: [202, TOO_LARGE],
      signal,
      once: true,
    });
    if (response.status === TOO_LARGE) {
      await response.body?.cancel();
      await callOff(repository, target, signal);
      return false;
    }
    target = await nextPlace(repository, response, target);
    at = end;
    upload.onBytes(at);
  }
  await put(repository, upload, { target });
  return true;
}

async function nextPlace(
  repository: Repository,
  response: Response,
  before: string,
): Promise<string> {
  await response.body?.cancel();
  const location = response.headers.get("location");
  if (location !== null) return absolute(repository, location);
  if (before !== "") return before;
  throw new TiffinError("unavailable", "The registry did not say where the upload goes");
}

/** Where an upload goes on: with us, or where the registry says; never from TLS to plain HTTP. */
function absolute({ origin }: Repository, location: string): string {
  const { base } = origin.endpoint;
  if (!URL.canParse(location, base)) throw invalidArgument(`The registry sent us to ${location}`);
  const url = new URL(location, base);
  const isSafe =
    url.protocol === "https:" || (url.protocol === "http:" && base.startsWith("http:"));
  if (isSafe) return url.href;
  throw new TiffinError(
    "unavailable",
    `The registry sent the upload to ${url.protocol}//${url.host}`,
  );
}
