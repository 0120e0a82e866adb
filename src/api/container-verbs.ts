import { empty, json } from "./reply.ts";
import type { EmptyReply, JsonReply } from "./reply.ts";
import { parameter, queryInteger, queryString, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

/** What one does with a container that is there: docker's shorter verbs. */
export const containerVerbRoutes: readonly Route[] = [
  { method: "POST", path: "/containers/{name}/restart", handler: restartContainer },
  { method: "POST", path: "/containers/{name}/pause", handler: pauseContainer },
  { method: "POST", path: "/containers/{name}/unpause", handler: unpauseContainer },
  { method: "POST", path: "/containers/{name}/rename", handler: renameContainer },
  { method: "GET", path: "/containers/{name}/top", handler: containerTop },
];

async function restartContainer(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.restartContainer(parameter(request, "name"), stopOptions(request));
  return empty();
}

/** `signal` and `t` of a stop or restart. */
export function stopOptions(request: ApiRequest): { signal?: string; timeoutSeconds?: number } {
  const timeoutSeconds = queryInteger(request, "t");
  const signal = queryString(request, "signal");
  return {
    ...(signal === "" ? {} : { signal }),
    ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
  };
}

async function pauseContainer(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.pauseContainer(parameter(request, "name"));
  return empty();
}

async function unpauseContainer(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.unpauseContainer(parameter(request, "name"));
  return empty();
}

async function renameContainer(request: ApiRequest): Promise<EmptyReply> {
  const newName = queryString(request, "name");
  await request.engine.renameContainer(parameter(request, "name"), newName);
  return empty();
}

async function containerTop(request: ApiRequest): Promise<JsonReply> {
  const options = queryString(request, "ps_args");
  const { titles, processes } = await request.engine.top(parameter(request, "name"), options);
  return json({ Titles: titles, Processes: processes });
}
