import { invalidArgument, TiffinError } from "../base/error.ts";
import { digestOf } from "../base/hash.ts";
import { type Descriptor, MAX_DOCUMENT_BYTES } from "../images/manifest.ts";
import type { Repository } from "./repository.ts";
import { DEFAULT_RETRIES, withRetries } from "./retry.ts";

/** A blob that fits into memory (a configuration), verified, and kept nowhere. @throws invalid-argument, data-loss, unavailable */
export function readSmallBlob(
  repository: Repository,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  if (size > MAX_DOCUMENT_BYTES) {
    throw invalidArgument(`Cannot read ${digest}: it has more than ${MAX_DOCUMENT_BYTES} bytes`);
  }
  const read = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    const { bytes } = await repository.blob(descriptor, 0, signal);
    for await (const chunk of bytes) chunks.push(chunk);
    const content = Buffer.concat(chunks);
    if (digestOf(content) === digest) return content;
    throw new TiffinError("data-loss", `The registry's blob ${digest} is other content`);
  };
  return withRetries(read, DEFAULT_RETRIES, signal);
}
