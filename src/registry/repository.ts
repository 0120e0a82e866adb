import { digestOf } from "../base/hash.ts";
import { type Digest, isDigest } from "../base/digest.ts";
import { invalidArgument, isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { asRecord, type Descriptor, MAX_DOCUMENT_BYTES, MEDIA_TYPE } from "../images/manifest.ts";
import { type BlobRead, rangeStart, readBlob } from "./blob-read.ts";
import { endpointsOf } from "./endpoint.ts";
import { nextPage } from "./next-page.ts";
import { readBody, readJsonBody } from "./read-body.ts";
import type { RegistryAccess } from "./registry-access.ts";
import { type HostRequest, RegistryHost } from "./registry-host.ts";
import { DEFAULT_RETRIES, Passing, withRetries } from "./retry.ts";

/** A manifest or an index as the registry has it; `digest` is that of the bytes. */
export interface RegistryDocument {
  readonly bytes: Uint8Array;
  readonly digest: Digest;
  readonly mediaType: string;
}

/** All that can stand under a tag. Schema 1 is asked for last, so that its refusal can say what it is. */
const ACCEPTED: string = [
  MEDIA_TYPE.ociIndex,
  MEDIA_TYPE.ociManifest,
  MEDIA_TYPE.dockerIndex,
  MEDIA_TYPE.dockerManifest,
  "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.1",
].join(", ");

export const DAMAGED_HINT = "The registry, or something on the way, is damaged or lies";

const SCHEMA_1 = /^application\/vnd\.docker\.distribution\.manifest\.v1\+/;

export function isSchema1(mediaType: string): boolean {
  return SCHEMA_1.test(mediaType);
}

export function schema1(path: string): TiffinError {
  return new TiffinError(
    "not-implemented",
    `Cannot read ${path}: its manifest is of docker's schema 1, which is not supported`,
    { hint: "Have it pushed again by a docker that is younger than 2017" },
  );
}

export interface Repository {
  /** By tag or digest; verified. @throws not-found, unauthenticated, permission-denied, unavailable */
  manifest(tagOrDigest: string, signal?: AbortSignal): Promise<RegistryDocument>;
  /** The digest that a tag stands for now, without its content; undefined when there is none. */
  resolve(tagOrDigest: string): Promise<Digest | undefined>;
  /** A blob's bytes from `offset` on; what comes is checked by who reads all of it. */
  blob(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<BlobRead>;
  hasBlob(digest: Digest): Promise<boolean>;
  /** Up to the first 10,000 tags. */
  tags(): Promise<string[]>;
  /** Indexes, page by page, of artifacts that name a digest as their subject (distribution-spec v1.1.1, "Listing Referrers"). */
  referrers(digest: Digest, signal?: AbortSignal): Promise<RegistryDocument[]>;
  /** The registry itself, for writing (upload.ts). */
  readonly origin: RegistryHost;
  readonly path: string;
  readonly scopes: readonly string[];
}

/** Opens a repository of a registry; nothing is asked yet. */
export function openRepository(
  name: { readonly domain: string; readonly path: string },
  access: RegistryAccess,
  { push = false }: { readonly push?: boolean } = {},
): Repository {
  const hosts = endpointsOf(name.domain, access.settings).map(
    (endpoint) => new RegistryHost(endpoint, access),
  );
  return new HostedRepository(hosts, name.path, push);
}

const TAGS_A_PAGE = 1000;
const MAX_PAGES = 10;

class HostedRepository implements Repository {
  readonly #hosts: readonly RegistryHost[];
  readonly path: string;
  readonly scopes: readonly string[];

  constructor(hosts: readonly RegistryHost[], path: string, push: boolean) {
    this.#hosts = hosts;
    this.path = path;
    this.scopes = [`repository:${path}:${push ? "pull,push" : "pull"}`];
  }

  get origin(): RegistryHost {
    const last = this.#hosts.at(-1);
    if (last === undefined) throw new TiffinError("internal", "A repository without a host");
    return last;
  }

  async manifest(tagOrDigest: string, signal?: AbortSignal): Promise<RegistryDocument> {
    const read = async (): Promise<RegistryDocument> =>
      readDocument(
        await this.#read({
          method: "GET",
          target: this.#target("manifests", tagOrDigest),
          headers: { accept: ACCEPTED },
          expected: [200],
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    const document = await withRetries(read, DEFAULT_RETRIES, signal);
    if (isDigest(tagOrDigest) && document.digest !== tagOrDigest) {
      throw new TiffinError(
        "unavailable",
        `The registry's manifest ${tagOrDigest} has the digest ${document.digest}`,
        { hint: DAMAGED_HINT },
      );
    }
    return document;
  }

  async resolve(tagOrDigest: string): Promise<Digest | undefined> {
    const response = await this.#read({
      method: "HEAD",
      target: this.#target("manifests", tagOrDigest),
      headers: { accept: ACCEPTED },
      expected: [200, 404],
    });
    if (response.status === 404) return undefined;
    const told = response.headers.get("docker-content-digest") ?? "";
    // The field is optional; the content says it too.
    return isDigest(told) ? told : (await this.manifest(tagOrDigest)).digest;
  }

  async blob(descriptor: Descriptor, offset: number, signal?: AbortSignal): Promise<BlobRead> {
    const ask = (from: number): Promise<Response> =>
      this.#read({
        method: "GET",
        target: this.#target("blobs", descriptor.digest),
        headers: from === 0 ? {} : { range: `bytes=${from}-` },
        expected: from === 0 ? [200] : [200, 206, RANGE_NOT_SATISFIABLE],
        ...(signal === undefined ? {} : { signal }),
      });
    let response = await ask(offset);
    if (offset > 0 && !resumes(response, offset)) {
      await response.body?.cancel();
      response = await ask(0);
    }
    return readBlob(response, { offset, size: descriptor.size });
  }

  async hasBlob(digest: Digest): Promise<boolean> {
    const response = await this.origin.send({
      method: "HEAD",
      target: this.#target("blobs", digest),
      expected: [200, 404],
      scopes: this.scopes,
    });
    return response.status === 200;
  }

  async tags(): Promise<string[]> {
    const found: string[] = [];
    let target: string | undefined = `/v2/${this.path}/tags/list?n=${TAGS_A_PAGE}`;
    for (let page = 0; target !== undefined && page < MAX_PAGES; page++) {
      const response = await this.#read({ method: "GET", target, expected: [200] });
      const tags = asRecord(await readJsonBody(response))?.["tags"];
      // A repository whose tags were all deleted says null.
      if (tags !== null && !Array.isArray(tags)) throw noTags(this.path);
      if (Array.isArray(tags)) found.push(...tags.filter((tag) => typeof tag === "string"));
      target = nextPage(response.headers.get("link"), target);
    }
    return found;
  }

  async referrers(digest: Digest, signal?: AbortSignal): Promise<RegistryDocument[]> {
    const pages: RegistryDocument[] = [];
    let target: string | undefined = this.#target("referrers", digest);
    for (let page = 0; target !== undefined && page < MAX_PAGES; page++) {
      const response = await this.#read({
        method: "GET",
        target,
        headers: { accept: MEDIA_TYPE.ociIndex },
        expected: page === 0 ? [200, 400, 404, 405] : [200],
        ...(signal === undefined ? {} : { signal }),
      });
      if (response.status !== 200) {
        await response.body?.cancel();
        // Registries without that operation keep the list under a tag made of the digest ("Referrers Tag Schema").
        return [await this.manifest(digest.replace(":", "-"), signal)];
      }
      pages.push(await readDocument(response));
      target = nextPage(response.headers.get("link"), target);
    }
    return pages;
  }

  /** Asks the mirrors first. A mirror that fails in whatever way is passed over; the registry's own word counts. */
  async #read(request: Omit<HostRequest, "scopes">): Promise<Response> {
    for (const host of this.#hosts) {
      const isLast = host === this.origin;
      const asked = { ...request, scopes: this.scopes };
      if (isLast) return host.send(asked);
      try {
        const expected = request.expected.filter((status) => status < 300);
        return await host.send({ ...asked, expected, once: true });
      } catch (error) {
        request.signal?.throwIfAborted();
        if (!isTiffinError(error)) throw error;
      }
    }
    throw new TiffinError("internal", "A repository without a host");
  }

  #target(kind: "manifests" | "blobs" | "referrers", mark: string): string {
    return `/v2/${this.path}/${kind}/${mark}`;
  }
}

const RANGE_NOT_SATISFIABLE = 416;

/** False for an answer to a request for the rest that is not the rest: then all is asked for again. */
function resumes(response: Response, offset: number): boolean {
  if (response.status === 200) return true;
  return response.status === 206 && rangeStart(response.headers.get("content-range")) === offset;
}

function noTags(path: string): TiffinError {
  return new TiffinError("unavailable", `The registry's list of the tags of ${path} is none`);
}

async function readDocument(response: Response): Promise<RegistryDocument> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readBody(response);
  } catch (error) {
    // Small as they are, what is left of one is not asked for: the next attempt reads all of it.
    const words = `The connection ended inside of a manifest: ${messageOf(error)}`;
    throw new Passing(new TiffinError("unavailable", words, { cause: error }));
  }
  if (bytes === undefined) {
    throw invalidArgument(`The registry's manifest has more than ${MAX_DOCUMENT_BYTES} bytes`);
  }
  const mediaType = (response.headers.get("content-type") ?? "").split(";", 1)[0] ?? "";
  return { bytes, digest: digestOf(bytes), mediaType: mediaType.trim() };
}
