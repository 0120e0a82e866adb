import { invalidArgument } from "../base/error.ts";
import type { JsonObject } from "./json-object.ts";
import { json } from "./reply.ts";
import type { JsonReply } from "./reply.ts";
import { type ApiRequest, parameter, readJson } from "./request.ts";
import type { Route } from "./router.ts";

/**
 * `POST /tiffin/containers/{name}/copy`: a copy between a container and the host by the host's path, without an archive on the way.
 * Answers `{"Copied": false}`, with nothing done, unless the client is root on this very host: a path must not mean more to
 * the engine than to who names it.
 */
export const directCopyRoutes: readonly Route[] = [
  { method: "POST", path: "/tiffin/containers/{name}/copy", handler: copy },
];

async function copy(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  const name = parameter(request, "name");
  const path = body.string("Path");
  const hostPath = body.string("HostPath");
  const base = body.string("Base");
  if (path === "") throw invalidArgument("bad parameter: path cannot be empty");
  if (!hostPath.startsWith("/")) throw invalidArgument("HostPath must be an absolute path");
  if (!request.sharesHost()) return json({ Copied: false });
  const { engine, signal } = request;
  if (directionOf(body) === "out") {
    await engine.copyOut({ name, path, host: { directory: hostPath, base }, signal });
  } else {
    await engine.copyIn({
      name,
      path,
      asContainerUser: body.boolean("CopyUIDGID"),
      keepsKinds: body.boolean("NoOverwriteDirNonDir"),
      host: { path: hostPath, base },
      signal,
    });
  }
  return json({ Copied: true });
}

function directionOf(body: JsonObject): "in" | "out" {
  const direction = body.string("Direction");
  if (direction === "in" || direction === "out") return direction;
  throw invalidArgument('Direction must be "in" or "out"');
}
