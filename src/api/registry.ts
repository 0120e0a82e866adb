import { invalidArgument } from "../base/error.ts";
import { DEFAULT_DOMAIN, parseReference } from "../base/reference.ts";
import { asRecord } from "../images/manifest.ts";
import type { DescribedManifest } from "../registry/describe-document.ts";
import type { IndexEntry } from "../registry/push-index.ts";
import type { FoundRepository } from "../registry/search-registry.ts";
import { type Filters, parseFilters } from "./filters.ts";
import type { JsonObject } from "./json-object.ts";
import { registryAuth } from "./registry-auth.ts";
import { json, type JsonReply } from "./reply.ts";
import {
  type ApiRequest,
  parameter,
  queryFlag,
  queryInteger,
  queryString,
  readJson,
} from "./request.ts";
import type { Route } from "./router.ts";

/** What registries are asked without an image coming in; docker's operations, then ours. Tried before `/images/{name}/…`. */
export const registryRoutes: readonly Route[] = [
  { method: "GET", path: "/distribution/{name...}/json", handler: describeDistribution },
  { method: "GET", path: "/images/search", handler: searchImages },
  { method: "GET", path: "/tiffin/registry/manifest", handler: describeManifest },
  { method: "POST", path: "/tiffin/registry/index", handler: pushIndex },
  { method: "GET", path: "/tiffin/registry/referrers", handler: listReferrers },
];

async function describeDistribution(request: ApiRequest): Promise<JsonReply> {
  const { signal, registryAuth: auth } = request;
  const found = await request.engine.registry.describe(
    parameter(request, "name"),
    registryAuth(auth),
    { withManifests: false, signal },
  );
  const { mediaType, digest, size } = found;
  return json({ Descriptor: { mediaType, digest, size }, Platforms: found.platforms });
}

/** Docker's bounds of `limit`. */
const LIMIT = { initial: 25, most: 100 };

async function searchImages(request: ApiRequest): Promise<JsonReply> {
  const term = queryString(request, "term");
  if (term === "") throw invalidArgument("invalid search term: term is missing");
  const limit = queryInteger(request, "limit") || LIMIT.initial;
  if (limit < 1 || limit > LIMIT.most) {
    throw invalidArgument(`limit ${limit} is outside the range of [1, ${LIMIT.most}]`);
  }
  const filters = parseFilters(request.query.get("filters"), [
    "is-automated",
    "is-official",
    "stars",
  ]);
  const credentials = registryAuth(request.registryAuth);
  const wanted = { ...splitTerm(term), limit, signal: request.signal };
  const fits = searchFilter(filters);
  const found = await request.engine.registry.search(wanted, credentials);
  return json(
    found.filter(fits).map(({ name, description, stars, isOfficial }) => ({
      star_count: stars,
      is_official: isOfficial,
      name,
      is_automated: false,
      description,
    })),
  );
}

/** `registry.example/word`: what comes before the first slash is a registry when it looks like a host, as in a reference. */
function splitTerm(term: string): { domain: string; term: string } {
  const slash = term.indexOf("/");
  const first = term.slice(0, Math.max(slash, 0));
  if (first !== "localhost" && !/[.:]/.test(first)) {
    return { domain: DEFAULT_DOMAIN, term: term.replace(/^library\//, "") };
  }
  const rest = term.slice(slash + 1);
  const isHub = first === "docker.io" || first === "index.docker.io";
  return isHub
    ? { domain: DEFAULT_DOMAIN, term: rest.replace(/^library\//, "") }
    : { domain: first, term: rest };
}

/** Docker says of nothing that it is built automatically any more. */
function searchFilter(filters: Filters): (found: FoundRepository) => boolean {
  const isOfficial = filters.flag("is-official");
  const isAutomated = filters.flag("is-automated");
  const stars = filters.values("stars").map((value) => {
    if (/^\d+$/.test(value)) return Number(value);
    throw invalidArgument(`invalid filter 'stars=${value}'`);
  });
  return (found) =>
    isAutomated !== true &&
    (isOfficial === undefined || found.isOfficial === isOfficial) &&
    stars.every((least) => found.stars >= least);
}

async function describeManifest(request: ApiRequest): Promise<JsonReply> {
  const found = await request.engine.registry.describe(
    queryString(request, "reference"),
    registryAuth(request.registryAuth),
    { withManifests: queryFlag(request, "manifests"), signal: request.signal },
  );
  const { kind, mediaType, digest, size, bytes, platforms, manifests } = found;
  return json({
    Kind: kind,
    MediaType: mediaType,
    Digest: digest,
    Size: size,
    Platforms: platforms,
    Raw: base64(bytes),
    Manifests: manifests.map(formatManifest),
  });
}

function formatManifest(manifest: DescribedManifest): object {
  const { reference, mediaType, digest, size, platform, bytes } = manifest;
  return {
    Ref: reference,
    Descriptor: { mediaType, digest, size, platform },
    Raw: base64(bytes),
  };
}

async function pushIndex(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  const entries = body.objects("Manifests").map(readEntry);
  if (entries.length === 0) throw invalidArgument("an index needs a manifest: Manifests is empty");
  const { digest, pushed } = await request.engine.registry.pushIndex(
    body.string("Reference"),
    registryAuth(request.registryAuth),
    { entries, signal: request.signal },
  );
  return json({ Digest: digest, Pushed: pushed });
}

function readEntry(entry: JsonObject): IndexEntry {
  const descriptor = entry.object("Descriptor");
  return {
    reference: parseReference(entry.string("Ref")),
    mediaType: descriptor.string("mediaType"),
    platform: asRecord(descriptor.raw("platform")) ?? {},
    bytes: Buffer.from(entry.string("Raw"), "base64"),
  };
}

async function listReferrers(request: ApiRequest): Promise<JsonReply> {
  const found = await request.engine.registry.referrers(
    queryString(request, "reference"),
    registryAuth(request.registryAuth),
    { artifactType: queryString(request, "artifactType"), signal: request.signal },
  );
  return json(
    found.map(({ mediaType, digest, size, artifactType, annotations }) => ({
      MediaType: mediaType,
      Digest: digest,
      Size: size,
      ArtifactType: artifactType,
      Annotations: annotations ?? {},
    })),
  );
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}
