import { readFileSync } from "node:fs";
import { isTiffinError } from "../base/error.ts";
import { familiarReference, parseReference, withDefaultTag } from "../base/reference.ts";
import type { Image, ImageStore } from "./image-store.ts";
import { storageError } from "./storage-error.ts";

/** The image that comes with Tiffin (native/hello/), so that the first container needs no network. */
export const BUILTIN_IMAGE = "hello:latest";

/** True for `hello`, `hello:latest` and their full forms. */
export function isBuiltinImage(reference: string): boolean {
  try {
    return familiarReference(withDefaultTag(parseReference(reference))) === BUILTIN_IMAGE;
  } catch (error) {
    if (isTiffinError(error, "invalid-argument")) return false;
    throw error;
  }
}

/**
 * The built-in image, loaded from its archive when it is not there. An image of that name that the user made or tagged
 * stays what it is. Idempotent.
 *
 * @throws not-found when the archive is missing, what loading throws
 */
export async function ensureBuiltinImage(store: ImageStore, archivePath: string): Promise<Image> {
  try {
    return store.image(BUILTIN_IMAGE);
  } catch (error) {
    if (!isTiffinError(error, "not-found")) throw error;
  }
  await store.load(fileBytes(archivePath));
  return store.image(BUILTIN_IMAGE);
}

// Read at once: it is small, and inside the release executable it is no file to stream.
async function* fileBytes(path: string): AsyncGenerator<Uint8Array, void> {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    throw storageError("read the built-in image", error);
  }
  yield bytes;
}
