import { constants, createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import type { Digest } from "../base/digest.ts";
import { TiffinError } from "../base/error.ts";
import { startDigest } from "../base/hash.ts";
import { storageError } from "./storage-error.ts";
import { syncDirectory } from "./sync-directory.ts";

/** A blob whose first bytes are on the disk. */
export interface PartialBlob {
  /** Where they are, until it is a blob or closed; a file that is open then stays the same. */
  readonly path: string;
  /** Bytes that are there. */
  readonly sizeBytes: number;
  /** Hashes what an earlier try brought: to be called before more is appended. */
  hashStored(): Promise<void>;
  append(chunk: Uint8Array): Promise<void>;
  /** Makes it a blob of the store. @throws data-loss when it is not the one that it should be; then its bytes are gone */
  commit(): Promise<void>;
  /** What is there stays for the next try, unless it is to be discarded. */
  close(isDiscarded?: boolean): Promise<void>;
}

interface Places {
  readonly partial: string;
  readonly final: string;
  readonly directory: string;
}

/** Opens (and makes) the file; `closed` is called once when it is done with. @throws the system's errors */
export async function openPartialBlob(
  digest: Digest,
  places: Places,
  closed: () => void,
): Promise<PartialBlob> {
  const file = await open(places.partial, constants.O_RDWR | constants.O_CREAT, 0o600);
  const { size: storedBytes } = await file.stat();
  const hash = startDigest();
  let sizeBytes = storedBytes;
  let isOpen = true;
  const close = async (isDiscarded = false): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    try {
      await file.close();
      // Nothing came: there is nothing to go on with.
      if (sizeBytes === 0 || isDiscarded) await rm(places.partial, { force: true });
    } finally {
      closed();
    }
  };
  return {
    path: places.partial,
    get sizeBytes() {
      return sizeBytes;
    },
    hashStored: async () => {
      if (storedBytes === 0) return;
      for await (const chunk of createReadStream(places.partial, { end: storedBytes - 1 })) {
        hash.update(chunk as Uint8Array);
      }
    },
    append: async (chunk) => {
      hash.update(chunk);
      try {
        await writeWhole(file, chunk, sizeBytes);
      } catch (error) {
        throw storageError("store a blob", error);
      }
      sizeBytes += chunk.length;
    },
    commit: async () => {
      const actual = hash.digest();
      if (actual !== digest) {
        await rm(places.partial, { force: true });
        await close();
        throw new TiffinError("data-loss", `Its digest is ${actual} and should be ${digest}`, {
          hint: "The source, or something on the way, is damaged or lies: try again",
        });
      }
      await file.sync();
      await rename(places.partial, places.final);
      await syncDirectory(places.directory);
      await close();
    },
    close,
  };
}

/** A write may be a short one (on a disk that is nearly full): what follows must not leave a hole. */
async function writeWhole(file: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await file.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}
