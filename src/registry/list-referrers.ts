import { invalidArgument, isTiffinError } from "../base/error.ts";
import { asRecord, type Descriptor, parseDocument, parseJson } from "../images/manifest.ts";
import type { Digest } from "../base/digest.ts";
import type { RegistryDocument, Repository } from "./repository.ts";

/** A manifest that names another one as its subject: a signature, a bill of materials, an attestation. */
export interface Referrer extends Descriptor {
  /** "" when its index does not say. */
  readonly artifactType: string;
}

/**
 * What in a repository refers to a manifest, of one artifact type or of all ("").
 *
 * @throws not-found, unauthenticated, unavailable; invalid-argument when the registry's list is none
 */
export async function listReferrers(
  repository: Repository,
  subject: Digest,
  { artifactType, signal }: { readonly artifactType: string; readonly signal: AbortSignal },
): Promise<Referrer[]> {
  const what = `the referrers of ${subject}`;
  let pages: RegistryDocument[];
  try {
    pages = await repository.referrers(subject, signal);
  } catch (error) {
    // The tag schema's list comes to be with the first referrer.
    if (isTiffinError(error, "not-found")) return [];
    throw error;
  }
  // Registries may filter, and may not.
  return pages
    .flatMap(({ bytes }) => readPage(bytes, what))
    .filter((referrer) => artifactType === "" || referrer.artifactType === artifactType);
}

function readPage(bytes: Uint8Array, what: string): Referrer[] {
  const document = parseDocument(bytes, what);
  if (document.kind !== "index") throw invalidArgument(`Cannot read ${what}: it is no index`);
  const entries = asRecord(parseJson(bytes, what))?.["manifests"];
  const types = (Array.isArray(entries) ? entries : []).map((entry) => {
    const type = asRecord(entry)?.["artifactType"];
    return typeof type === "string" ? type : "";
  });
  return document.index.manifests.map((descriptor, position) => ({
    ...descriptor,
    artifactType: types[position] ?? "",
  }));
}
