import { randomBytes } from "node:crypto";
import {
  createReadStream,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, hexOf, isDigest } from "../base/digest.ts";
import { digestOf, startDigest } from "../base/hash.ts";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { syncDirectory } from "./sync-directory.ts";
import { openPartialBlob, type PartialBlob } from "./partial-blob.ts";
import { errnoOf, storageError } from "./storage-error.ts";

/** What the content should turn out to be; what is left out is not checked. */
export interface Expected {
  readonly digest?: Digest;
  readonly sizeBytes?: number;
}

export interface Stored {
  readonly digest: Digest;
  readonly sizeBytes: number;
}

/**
 * Immutable bytes by their digest, one file each: ROOT/blobs/sha256/HEX. A file under its final name is whole and on
 * the disk; what a dead process left half-made has a name of its own kind. Tags and garbage collection are elsewhere.
 */
export interface ContentStore {
  /** Idempotent. @throws invalid-argument when the content is not what was expected; then nothing is stored */
  write(content: AsyncIterable<Uint8Array>, expected?: Expected): Promise<Stored>;
  has(digest: Digest): boolean;
  /** Where a blob is, or would be. */
  path(digest: Digest): string;
  /** @throws not-found */
  sizeBytes(digest: Digest): number;
  /** A small blob as a whole, verified. @throws not-found, data-loss when the file was changed */
  read(digest: Digest): Uint8Array;
  /** Verified at its end. @throws not-found, data-loss */
  stream(digest: Digest): AsyncIterable<Uint8Array>;
  /** Idempotent. Returns the bytes freed. */
  remove(digest: Digest): number;
  digests(): Digest[];
  /**
   * Goes on with a blob that comes from elsewhere, where an earlier try ended. Of several at a time the later ones wait for the
   * earlier to be closed.
   */
  openPartial(digest: Digest): Promise<PartialBlob>;
  /**
   * Takes a file of the same file system, whose digest is known to be this; where it is then. It is not synced: whoever asks
   * does that before anything names the blob.
   */
  adopt(path: string, digest: Digest): string;
  /** Makes a whole blob one of {@link partials} again: nothing needs it now, and a next try has not to fetch it. */
  setAside(digest: Digest): void;
  /** What earlier tries left of blobs that were not finished; those being written now are not among them. */
  partials(): Stored[];
  /** Returns the bytes freed. */
  removePartial(digest: Digest): number;
  /** Names of half-made files of processes that died; those being written now are not among them. */
  leftovers(): string[];
  /** Removes one of {@link leftovers}; returns the bytes freed. */
  removeLeftover(name: string): number;
}

const INCOMING = "incoming-";
const PARTIAL = "partial-";

/** Opens (and makes) the store below `root`; one process at a time writes. */
export function openContentStore(root: string): ContentStore {
  return new FileContentStore(join(root, "blobs", "sha256"));
}

class FileContentStore implements ContentStore {
  private readonly directory: string;
  private readonly writing = new Set<string>();
  private readonly partly = new Map<Digest, Promise<void>>();

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  async write(content: AsyncIterable<Uint8Array>, expected: Expected = {}): Promise<Stored> {
    const name = `${INCOMING}${randomBytes(8).toString("hex")}`;
    const path = join(this.directory, name);
    this.writing.add(name);
    try {
      const stored = await this.writeFile(path, content, expected);
      await rename(path, this.pathOf(stored.digest));
      await syncDirectory(this.directory);
      return stored;
    } catch (error) {
      await rm(path, { force: true });
      throw storageError("store a blob", error);
    } finally {
      this.writing.delete(name);
    }
  }

  private async writeFile(
    path: string,
    content: AsyncIterable<Uint8Array>,
    expected: Expected,
  ): Promise<Stored> {
    const file = await open(path, "wx", 0o600);
    try {
      const stored = await copyInto(file, content, expected.sizeBytes);
      checkExpected(stored, expected);
      await file.sync();
      return stored;
    } finally {
      await file.close();
    }
  }

  has(digest: Digest): boolean {
    return statSync(this.pathOf(digest), { throwIfNoEntry: false }) !== undefined;
  }

  sizeBytes(digest: Digest): number {
    const status = statSync(this.pathOf(digest), { throwIfNoEntry: false });
    if (status === undefined) throw blobMissing(digest);
    return status.size;
  }

  read(digest: Digest): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(this.pathOf(digest));
    } catch (error) {
      throw errnoOf(error) === "ENOENT"
        ? blobMissing(digest)
        : storageError(`read blob ${digest}`, error);
    }
    if (digestOf(bytes) !== digest) throw blobChanged(digest);
    return bytes;
  }

  async *stream(digest: Digest): AsyncGenerator<Uint8Array, void> {
    if (!this.has(digest)) throw blobMissing(digest);
    const hash = startDigest();
    for await (const chunk of createReadStream(this.pathOf(digest))) {
      const bytes = chunk as Uint8Array;
      hash.update(bytes);
      yield bytes;
    }
    if (hash.digest() !== digest) throw blobChanged(digest);
  }

  remove(digest: Digest): number {
    return removeFile(this.pathOf(digest));
  }

  digests(): Digest[] {
    return readdirSync(this.directory)
      .map((name) => `sha256:${name}`)
      .filter(isDigest);
  }

  async openPartial(digest: Digest): Promise<PartialBlob> {
    for (let other = this.partly.get(digest); other; other = this.partly.get(digest)) await other;
    const closed = Promise.withResolvers<void>();
    this.partly.set(digest, closed.promise);
    const close = (): void => {
      this.partly.delete(digest);
      closed.resolve();
    };
    try {
      const places = { partial: this.partialOf(digest), final: this.pathOf(digest) };
      return await openPartialBlob(digest, { ...places, directory: this.directory }, close);
    } catch (error) {
      close();
      throw storageError("store a blob", error);
    }
  }

  adopt(path: string, digest: Digest): string {
    if (!this.has(digest)) renameSync(path, this.pathOf(digest));
    return this.pathOf(digest);
  }

  setAside(digest: Digest): void {
    if (!this.partly.has(digest) && this.has(digest)) {
      renameSync(this.pathOf(digest), this.partialOf(digest));
    }
  }

  partials(): Stored[] {
    return readdirSync(this.directory).flatMap((name) => {
      const digest = `sha256:${name.slice(PARTIAL.length)}`;
      if (!name.startsWith(PARTIAL) || !isDigest(digest) || this.partly.has(digest)) return [];
      const status = statSync(join(this.directory, name), { throwIfNoEntry: false });
      return status === undefined ? [] : [{ digest, sizeBytes: status.size }];
    });
  }

  removePartial(digest: Digest): number {
    return this.partly.has(digest) ? 0 : removeFile(this.partialOf(digest));
  }

  private partialOf(digest: Digest): string {
    if (!isDigest(digest)) throw invalidArgument(`invalid digest ${JSON.stringify(digest)}`);
    return join(this.directory, `${PARTIAL}${hexOf(digest)}`);
  }

  leftovers(): string[] {
    return readdirSync(this.directory).filter(
      (name) => name.startsWith(INCOMING) && !this.writing.has(name),
    );
  }

  removeLeftover(name: string): number {
    if (!this.leftovers().includes(name)) return 0;
    return removeFile(join(this.directory, name));
  }

  path(digest: Digest): string {
    return this.pathOf(digest);
  }

  private pathOf(digest: Digest): string {
    if (!isDigest(digest)) throw invalidArgument(`invalid digest ${JSON.stringify(digest)}`);
    return join(this.directory, hexOf(digest));
  }
}

/** Copies a stream into a file and hashes it on the way. @throws invalid-argument as soon as it is longer than `limit` */
async function copyInto(
  file: FileHandle,
  content: AsyncIterable<Uint8Array>,
  limit: number | undefined,
): Promise<Stored> {
  const hash = startDigest();
  let sizeBytes = 0;
  for await (const chunk of content) {
    sizeBytes += chunk.length;
    if (limit !== undefined && sizeBytes > limit) {
      throw invalidArgument(`Cannot store a blob: it has more than the ${limit} bytes declared`);
    }
    hash.update(chunk);
    await file.writeFile(chunk);
  }
  return { digest: hash.digest(), sizeBytes };
}

function checkExpected(stored: Stored, expected: Expected): void {
  if (expected.sizeBytes !== undefined && stored.sizeBytes !== expected.sizeBytes) {
    throw invalidArgument(
      `Cannot store a blob: it ends after ${stored.sizeBytes} of ${expected.sizeBytes} bytes`,
      "The source is truncated: get it again",
    );
  }
  if (expected.digest !== undefined && stored.digest !== expected.digest) {
    throw invalidArgument(
      `Cannot store a blob: its digest is ${stored.digest}, not ${expected.digest}`,
      "The source is damaged: get it again",
    );
  }
}

function removeFile(path: string): number {
  const status = statSync(path, { throwIfNoEntry: false });
  rmSync(path, { force: true });
  return status?.size ?? 0;
}

function blobMissing(digest: Digest): TiffinError {
  return new TiffinError("not-found", `No such blob: ${digest}`);
}

function blobChanged(digest: Digest): TiffinError {
  return new TiffinError("data-loss", `Cannot read blob ${digest}: its file was changed`, {
    hint: "Remove the image and load or pull it again",
  });
}
