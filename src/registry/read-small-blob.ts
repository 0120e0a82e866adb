import { invalidArgument, TiffinError } from "../base/error.ts";
import { digestOf } from "../base/hash.ts";
import { type Descriptor, MAX_DOCUMENT_BYTES } from "../images/manifest.ts";
import { DAMAGED_HINT, type Repository } from "./repository.ts";
import { DEFAULT_RETRIES, withRetries } from "./retry.ts";

/** A blob that fits into memory (a configuration), verified, and kept nowhere. @throws invalid-argument, unavailable */
export function readSmallBlob(
  repository: Repository,
  descriptor: Descriptor,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { digest, size } = descriptor;
  if (size > MAX_DOCUMENT_BYTES) {
    throw invalidArgument(
      `Cannot read configuration ${digest}: it has ${size} bytes, at most ${MAX_DOCUMENT_BYTES} are read`,
    );
  }
  const read = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = [];
    const { bytes } = await repository.blob(descriptor, 0, signal);
    for await (const chunk of bytes) chunks.push(chunk);
    const content = Buffer.concat(chunks);
    if (digestOf(content) === digest) return content;
    throw new TiffinError("unavailable", `The registry's blob ${digest} is other content`, {
      hint: DAMAGED_HINT,
    });
  };
  return withRetries(read, DEFAULT_RETRIES, signal);
}
