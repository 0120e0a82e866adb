import { createHash } from "node:crypto";
import type { Digest } from "./digest.ts";

/** The digest of bytes in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}

/** A digest made piece by piece, for streams. `digest` may be called once. */
export function startDigest(): { update(bytes: Uint8Array): void; digest(): Digest } {
  const hash = createHash("sha256");
  return {
    update: (bytes) => void hash.update(bytes),
    digest: () => `sha256:${hash.digest("hex")}` as Digest,
  };
}
