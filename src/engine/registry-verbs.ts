import { isDigest } from "../base/digest.ts";
import { parseReference, type Reference, withDefaultTag } from "../base/reference.ts";
import { TiffinError } from "../base/error.ts";
import { checkLogin } from "../registry/check-login.ts";
import type { Credentials } from "../registry/credentials.ts";
import {
  describeDocument,
  type DescribedDocument,
  type DescribeOptions,
} from "../registry/describe-document.ts";
import { listReferrers, type Referrer } from "../registry/list-referrers.ts";
import { type IndexEntry, type PushedIndex, pushIndex } from "../registry/push-index.ts";
import { openRepository } from "../registry/repository.ts";
import {
  type FoundRepository,
  searchRegistry,
  type SearchRequest,
} from "../registry/search-registry.ts";
import { registryAccess } from "./registry-access.ts";

type Given = Credentials | undefined;

/** What registries can be asked without an image coming in. Names are as users write them. */
export interface RegistryVerbs {
  /** Asks a registry whether it knows these credentials; an identity token, or "". @throws unauthenticated, unavailable */
  checkLogin(domain: string, credentials: Credentials): Promise<string>;
  /** What a name stands for. @throws not-found, unauthenticated, permission-denied, unavailable */
  describe(name: string, credentials: Given, options: DescribeOptions): Promise<DescribedDocument>;
  /** Puts an index of manifests, which the registry has, under a name (registry/push-index.ts). */
  pushIndex(
    name: string,
    credentials: Given,
    options: { readonly entries: readonly IndexEntry[]; readonly signal: AbortSignal },
  ): Promise<PushedIndex>;
  /** What refers to an image: signatures and such. @throws not-found for the image itself */
  referrers(
    name: string,
    credentials: Given,
    options: { readonly artifactType: string; readonly signal: AbortSignal },
  ): Promise<Referrer[]>;
  /** @throws not-implemented when the registry can only be asked for names that are known */
  search(request: SearchRequest, credentials: Given): Promise<FoundRepository[]>;
}

export const registryVerbs: RegistryVerbs = {
  checkLogin: (domain, credentials) => checkLogin(domain, registryAccess(credentials)),
  describe: (name, credentials, options) => {
    const reference = withDefaultTag(parseReference(name));
    const repository = openRepository(reference, registryAccess(credentials));
    return describeDocument(repository, reference, options);
  },
  pushIndex: (name, credentials, options) => {
    const reference = withDefaultTag(parseReference(name));
    const repository = openRepository(reference, registryAccess(credentials), { push: true });
    return pushIndex(repository, reference, options);
  },
  referrers: async (name, credentials, options) => {
    const reference = withDefaultTag(parseReference(name));
    const repository = openRepository(reference, registryAccess(credentials));
    const subject = reference.digest ?? (await repository.resolve(reference.tag ?? ""));
    if (subject === undefined || !isDigest(subject)) throw notThere(reference);
    return listReferrers(repository, subject, options);
  },
  search: (request, credentials) => searchRegistry(request, registryAccess(credentials)),
};

function notThere({ path, tag }: Reference): TiffinError {
  return new TiffinError("not-found", `manifest for ${path}:${tag} not found: manifest unknown`);
}
