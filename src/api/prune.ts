import type { Engine } from "../engine/engine.ts";
import type { Pruned } from "../engine/prune-containers.ts";
import type { ImagePruning } from "../engine/prune-images.ts";
import { pruneFilters } from "./prune-filters.ts";
import { json, type JsonReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

/** Docker's prunes, and what they would do: a GET of ours with the same filters. */
export const pruneRoutes: readonly Route[] = [
  { method: "POST", path: "/containers/prune", handler: pruneContainers },
  { method: "POST", path: "/images/prune", handler: pruneImages },
  { method: "POST", path: "/build/prune", handler: pruneBuildCache },
  { method: "GET", path: "/tiffin/containers/prune", handler: listContainers },
  { method: "GET", path: "/tiffin/images/prune", handler: listImages },
];

async function pruneContainers(request: ApiRequest): Promise<JsonReply> {
  const { items, freedBytes } = await request.engine.pruneContainers(containersOf(request, false));
  return json({
    ContainersDeleted: items.length === 0 ? null : items.map(({ id }) => id),
    SpaceReclaimed: freedBytes,
  });
}

async function listContainers(request: ApiRequest): Promise<JsonReply> {
  return json(formatPruned(await request.engine.pruneContainers(containersOf(request, true))));
}

function containersOf(
  request: ApiRequest,
  dryRun: boolean,
): Parameters<Engine["pruneContainers"]>[0] {
  const { isWanted } = pruneFilters(request);
  return { isWanted: ({ spec, createdAt }) => isWanted(spec.labels, createdAt), dryRun };
}

async function pruneImages(request: ApiRequest): Promise<JsonReply> {
  const { removed, freedBytes } = await request.engine.pruneImages(imagesOf(request, false));
  const deleted = removed.map(({ untagged, deleted: id }) => ({
    ...(untagged === undefined ? {} : { Untagged: untagged }),
    ...(id === undefined ? {} : { Deleted: id }),
  }));
  return json({
    ImagesDeleted: deleted.length === 0 ? null : deleted,
    SpaceReclaimed: freedBytes,
  });
}

async function listImages(request: ApiRequest): Promise<JsonReply> {
  return json(formatPruned(await request.engine.pruneImages(imagesOf(request, true))));
}

function imagesOf(request: ApiRequest, dryRun: boolean): ImagePruning {
  const { filters, isWanted } = pruneFilters(request, "dangling");
  return {
    isWanted: ({ config }) => isWanted(config.config.Labels ?? {}, config.created ?? ""),
    danglingOnly: filters.flag("dangling") ?? true,
    dryRun,
    without: new Set(dryRun ? request.query.getAll("without") : []),
  };
}

function formatPruned({ items, freedBytes }: Pruned): object {
  return {
    Items: items.map(({ id, name, sizeBytes }) => ({ Id: id, Name: name, Size: sizeBytes })),
    SpaceReclaimed: freedBytes,
  };
}

/** Nothing is built yet. */
function pruneBuildCache(): JsonReply {
  return json({ CachesDeleted: null, SpaceReclaimed: 0 });
}
