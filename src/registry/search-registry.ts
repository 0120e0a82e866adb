import { isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { DEFAULT_DOMAIN } from "../base/reference.ts";
import { asRecord } from "../images/manifest.ts";
import { type Endpoint, endpointsOf } from "./endpoint.ts";
import { nextPage } from "./next-page.ts";
import { readJsonBody } from "./read-body.ts";
import type { RegistryAccess } from "./registry-access.ts";
import { RegistryHost } from "./registry-host.ts";

export interface FoundRepository {
  readonly name: string;
  readonly description: string;
  readonly stars: number;
  readonly isOfficial: boolean;
}

export interface SearchRequest {
  /** `docker.io`, `registry.example:5000` */
  readonly domain: string;
  readonly term: string;
  /** At most so many are wanted. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** Docker Hub's search is at another host than its registry. */
const DOCKER_HUB_SEARCH = "index.docker.io";
/** A catalog is read from its beginning, so many names a page: registries allow no more. */
const NAMES_A_PAGE = 1000;
const MAX_PAGES = 20;

/**
 * Finds repositories by a word: with the search of docker's first protocol (`/v1/search`, Docker Hub has it); a registry without
 * it is asked for all of its names (`/v2/_catalog`), which are then looked through.
 *
 * @throws not-implemented when the registry has neither; unauthenticated, unavailable
 */
export async function searchRegistry(
  request: SearchRequest,
  access: RegistryAccess,
): Promise<FoundRepository[]> {
  const endpoint = endpointsOf(request.domain, access.settings).at(-1);
  if (endpoint === undefined) throw new TiffinError("internal", "A registry without a host");
  if (request.domain === DEFAULT_DOMAIN) {
    const hub = { ...endpoint, base: `https://${DOCKER_HUB_SEARCH}`, host: DOCKER_HUB_SEARCH };
    return (await searchIndex(hub, request, access)) ?? [];
  }
  const found = await searchIndex(endpoint, request, access);
  return found ?? (await searchCatalog(endpoint, request, access));
}

/** Undefined when there is no such search. */
async function searchIndex(
  endpoint: Endpoint,
  { term, limit, signal, domain }: SearchRequest,
  access: RegistryAccess,
): Promise<FoundRepository[] | undefined> {
  const host = new RegistryHost(endpoint, access);
  const query = new URLSearchParams({ q: term, n: String(limit) });
  const isHub = domain === DEFAULT_DOMAIN;
  const response = await host.send({
    method: "GET",
    target: `/v1/search?${query.toString()}`,
    headers: { accept: "application/json" },
    scopes: [],
    expected: isHub ? [200] : [200, 400, 401, 403, 404, 405, 410],
    signal,
  });
  const content = response.status === 200 ? await readJsonBody(response) : undefined;
  if (response.status !== 200) await response.body?.cancel();
  const results = asRecord(content)?.["results"];
  if (Array.isArray(results)) return results.flatMap(readResult).slice(0, limit);
  if (!isHub) return undefined;
  throw new TiffinError("unavailable", "Docker Hub answered the search with no results at all");
}

function readResult(value: unknown): FoundRepository[] {
  const { name, description, star_count: stars, is_official: official } = asRecord(value) ?? {};
  if (typeof name !== "string" || name === "") return [];
  return [
    {
      name,
      description: typeof description === "string" ? description : "",
      stars: typeof stars === "number" ? stars : 0,
      isOfficial: official === true,
    },
  ];
}

async function searchCatalog(
  endpoint: Endpoint,
  { domain, term, limit, signal }: SearchRequest,
  access: RegistryAccess,
): Promise<FoundRepository[]> {
  const host = new RegistryHost(endpoint, access);
  const found: string[] = [];
  try {
    let target: string | undefined = `/v2/_catalog?n=${NAMES_A_PAGE}`;
    for (let page = 0; target !== undefined && page < MAX_PAGES && found.length < limit; page++) {
      const response = await host.send({
        method: "GET",
        target,
        scopes: ["registry:catalog:*"],
        expected: [200],
        signal,
      });
      const names = asRecord(await readJsonBody(response))?.["repositories"];
      if (!Array.isArray(names)) throw new TiffinError("not-found", "there is no list of names");
      found.push(...names.filter((name) => typeof name === "string" && name.includes(term)));
      target = nextPage(response.headers.get("link"), target);
    }
  } catch (error) {
    if (!isTiffinError(error, "not-found", "not-implemented", "permission-denied")) throw error;
    throw new TiffinError(
      "not-implemented",
      `Cannot search ${domain}: it has neither a search nor a catalog (${messageOf(error)})`,
      { cause: error, hint: "Look for the image where the registry shows its repositories" },
    );
  }
  return found
    .slice(0, limit)
    .map((name) => ({ name: `${domain}/${name}`, description: "", stars: 0, isOfficial: false }));
}
