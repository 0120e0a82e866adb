import { TiffinError } from "../base/error.ts";
import { parseFilters } from "./filters.ts";
import { json } from "./reply.ts";
import type { JsonReply } from "./reply.ts";
import { parameter, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

/** There are no named volumes yet: the list is empty, and true. */
export const volumeRoutes: readonly Route[] = [
  { method: "GET", path: "/volumes", handler: listVolumes },
  { method: "GET", path: "/volumes/{name}", handler: inspectVolume },
];

function listVolumes(request: ApiRequest): JsonReply {
  parseFilters(request.query.get("filters"), ["dangling", "driver", "label", "name"]);
  return json({ Volumes: [], Warnings: null });
}

function inspectVolume(request: ApiRequest): JsonReply {
  throw new TiffinError("not-found", `get ${parameter(request, "name")}: no such volume`);
}
