import { invalidArgument } from "./error.ts";

declare const brand: unique symbol;

/** `sha256:` and 64 hexadecimal digits: the hash of stored bytes (a blob, a manifest, a configuration). */
export type Digest = string & { readonly [brand]: "digest" };

/** The same form, but the hash of a layer's *uncompressed* tar; never interchangeable with a {@link Digest}. */
export type DiffId = string & { readonly [brand]: "diff ID" };

const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** True for `sha256:` and 64 lower-case hexadecimal digits, the one algorithm that the store keeps. */
export function isDigest(text: string): text is Digest {
  return SHA256.test(text);
}

/** @throws invalid-argument, in the words that docker uses (image-spec v1.1.1 descriptor.md, "Digests") */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw digestError(text);
}

/** @throws invalid-argument */
export function parseDiffId(text: string): DiffId {
  if (SHA256.test(text)) return text as DiffId;
  throw digestError(text);
}

function digestError(text: string): Error {
  const colon = text.indexOf(":");
  if (colon <= 0) return invalidArgument(`invalid checksum digest format: ${JSON.stringify(text)}`);
  const algorithm = text.slice(0, colon);
  if (algorithm !== "sha256") {
    return invalidArgument(
      `unsupported digest algorithm: ${JSON.stringify(algorithm)}`,
      "Use a sha256 digest",
    );
  }
  const reason = text.length === "sha256:".length + 64 ? "format" : "length";
  return invalidArgument(`invalid checksum digest ${reason}: ${JSON.stringify(text)}`);
}

/** The 64 hexadecimal digits without the algorithm: how blobs and layers are named on disk. */
export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** The first 12 hexadecimal digits, as docker shows ids. */
export function shortId(id: string): string {
  return hexOf(id).slice(0, 12);
}
