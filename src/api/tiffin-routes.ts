import { shortId } from "../base/digest.ts";
import { readContainerSpec } from "./container-config.ts";
import { listStats } from "./container-stats.ts";
import { json } from "./reply.ts";
import type { JsonReply } from "./reply.ts";
import { parameter, queryFlag, queryString, readJson, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

/** What docker has no words for (docs/reference/api.md). */
export const tiffinRoutes: readonly Route[] = [
  { method: "POST", path: "/tiffin/explain", handler: explain },
  { method: "POST", path: "/tiffin/containers/{name}/start", handler: startWithTimings },
  { method: "GET", path: "/tiffin/stats", handler: listStats },
  { method: "GET", path: "/tiffin/exec/{id}/timings", handler: execTimings },
  { method: "GET", path: "/tiffin/images/layers", handler: listLayers },
  { method: "GET", path: "/tiffin/check", handler: check },
  { method: "POST", path: "/tiffin/check", handler: check },
];

async function explain(request: ApiRequest): Promise<JsonReply> {
  const spec = readContainerSpec(await readJson(request));
  const steps = await request.engine.explain({ name: queryString(request, "name"), spec });
  return json({ steps });
}

async function startWithTimings(request: ApiRequest): Promise<JsonReply> {
  const timings = queryFlag(request, "timings");
  const result = await request.engine.startContainer(parameter(request, "name"), { timings });
  return json({ steps: result.timings ?? [] });
}

/** Of an exec that was started with `?timings=1`; once. */
function execTimings(request: ApiRequest): JsonReply {
  return json({ steps: request.engine.takeExecTimings(parameter(request, "id")) });
}

/** Repairing is for POST alone: a GET changes nothing. Downloads that a next pull goes on with are listed; they are no fault. */
async function check(request: ApiRequest): Promise<JsonReply> {
  const { engine, method } = request;
  const repair = method === "POST" && queryFlag(request, "repair");
  const findings = await engine.systemCheck({ repair });
  return json({
    findings,
    resumable: engine.images.content.partials(),
    ready: engine.readyContainers(),
  });
}

/** The layers of all images, the largest first, each with the images that have it. */
function listLayers({ engine }: ApiRequest): JsonReply {
  const names = new Map<string, string>(
    engine.images.images().map(({ id, repoTags }) => [id, repoTags[0] ?? shortId(id)]),
  );
  const layers = engine.images.layerUse().toSorted((a, b) => b.sizeBytes - a.sizeBytes);
  return json(
    layers.map(({ diffId, sizeBytes, imageIds }) => ({
      DiffID: diffId,
      Size: sizeBytes,
      Images: imageIds.map((id) => ({ Id: id, Name: names.get(id) ?? shortId(id) })),
    })),
  );
}
