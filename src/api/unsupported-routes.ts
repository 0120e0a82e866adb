import { TiffinError } from "../base/error.ts";
import { json } from "./reply.ts";
import type { JsonReply } from "./reply.ts";
import type { ApiRequest } from "./request.ts";
import type { Handler, Route } from "./router.ts";

/** Docker's operations that are not there yet: a client gets a clear no instead of "page not found". */
const notYet: readonly (readonly [method: string, path: string])[] = [
  ["POST", "/build"],
  ["POST", "/session"],
  ["POST", "/grpc"],
];

const swarmRooms = ["swarm", "nodes", "services", "tasks", "secrets", "configs"];

const notSupported: Handler = (request) => {
  throw new TiffinError(
    "not-implemented",
    `${request.method} ${request.path} is not supported by Tiffin yet`,
    { hint: "See docs/reference/api.md for what is" },
  );
};

/** There is no swarm mode: what docker says outside of one. */
const noSwarm: Handler = () => {
  throw new TiffinError(
    "unavailable",
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    { hint: "Tiffin has no swarm mode" },
  );
};

function listPlugins(_request: ApiRequest): JsonReply {
  return json([]);
}

export const unsupportedRoutes: readonly Route[] = [
  ...notYet.map(([method, path]) => ({ method, path, handler: notSupported })),
  { method: "GET", path: "/plugins", handler: listPlugins },
  ...["POST", "GET", "DELETE"].map((method) => ({
    method,
    path: "/plugins/{rest...}",
    handler: notSupported,
  })),
  { method: "POST", path: "/swarm/init", handler: notSupported },
  { method: "POST", path: "/swarm/join", handler: notSupported },
  ...swarmRooms.flatMap((room) =>
    ["GET", "POST", "DELETE"].flatMap((method) => [
      { method, path: `/${room}`, handler: noSwarm },
      { method, path: `/${room}/{rest...}`, handler: noSwarm },
    ]),
  ),
];
