import { invalidArgument, TiffinError } from "../base/error.ts";
import { parseReference } from "../base/reference.ts";
import { formatImage } from "./image-json.ts";
import { listImages } from "./image-list.ts";
import { queryPlatform } from "./query-platform.ts";
import { registryAuth } from "./registry-auth.ts";
import { formatProgress, progressStream } from "./progress-stream.ts";
import { empty, json } from "./reply.ts";
import type { EmptyReply, JsonReply, StreamReply } from "./reply.ts";
import { parameter, queryFlag, queryString, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

export const imageRoutes: readonly Route[] = [
  { method: "GET", path: "/images/json", handler: listImages },
  { method: "POST", path: "/images/load", handler: loadImages },
  { method: "POST", path: "/images/create", handler: createImage },
  { method: "GET", path: "/images/{name...}/json", handler: inspectImage },
  { method: "GET", path: "/images/{name...}/history", handler: imageHistory },
  { method: "POST", path: "/images/{name...}/tag", handler: tagImage },
  { method: "DELETE", path: "/images/{name...}", handler: removeImage },
];

function inspectImage(request: ApiRequest): JsonReply {
  const { images } = request.engine;
  const image = images.image(parameter(request, "name"), queryPlatform(request));
  return json(formatImage(image, images.layerDirectories(image.id), request.version));
}

function imageHistory(request: ApiRequest): JsonReply {
  return json(request.engine.images.history(parameter(request, "name"), queryPlatform(request)));
}

function tagImage(request: ApiRequest): EmptyReply {
  const repository = queryString(request, "repo");
  if (repository === "") throw invalidArgument("invalid reference format: repo is missing");
  request.engine.images.tag(
    parameter(request, "name"),
    withTag(repository, queryString(request, "tag")),
  );
  return empty(201);
}

/** `tag` can also be a digest, as docker's clients split references. */
function withTag(repository: string, tag: string): string {
  if (tag === "") return repository;
  return repository + (tag.includes(":") ? "@" : ":") + tag;
}

async function removeImage(request: ApiRequest): Promise<JsonReply> {
  const { engine } = request;
  const removed = await engine.images.remove(parameter(request, "name"), {
    force: queryFlag(request, "force"),
    usedBy: (imageId) =>
      engine
        .containers()
        .filter((container) => container.imageId === imageId)
        .map(({ id, state }) => ({ id, running: state.pid !== 0 })),
  });
  return json(
    removed.map(({ untagged, deleted }) => ({
      ...(untagged === undefined ? {} : { Untagged: untagged }),
      ...(deleted === undefined ? {} : { Deleted: deleted }),
    })),
  );
}

/** `POST /images/load`: docker's progress lines, then what was loaded. */
function loadImages(request: ApiRequest): StreamReply {
  const isQuiet = queryFlag(request, "quiet");
  return progressStream(async (progress) => {
    const loaded = await request.engine.images.load(
      request.body,
      isQuiet ? undefined : (line) => progress.report(formatProgress(line)),
    );
    for (const name of loaded) {
      const words = name.startsWith("sha256:") ? "Loaded image ID" : "Loaded image";
      progress.report({ stream: `${words}: ${name}\n` });
    }
  });
}

/** `POST /images/create`: import (fromSrc) or pull (fromImage). */
function createImage(request: ApiRequest): StreamReply {
  const source = queryString(request, "fromSrc");
  if (source !== "") return importImage(request, source);
  return pullImage(request, queryString(request, "fromImage"));
}

function importImage(request: ApiRequest, source: string): StreamReply {
  if (source !== "-") {
    throw new TiffinError("not-implemented", `Cannot import from "${source}": URLs are not read`, {
      hint: "Download the file, then import it from there",
    });
  }
  const repository = queryString(request, "repo");
  const message = queryString(request, "message");
  return progressStream(async (progress) => {
    const id = await request.engine.images.importRootfs(request.body, {
      ...(repository === "" ? {} : { reference: withTag(repository, queryString(request, "tag")) }),
      ...(message === "" ? {} : { message }),
      changes: request.query.getAll("changes"),
      source,
    });
    progress.report({ status: id });
  });
}

function pullImage(request: ApiRequest, name: string): StreamReply {
  if (name === "") throw invalidArgument("invalid reference format: fromImage is missing");
  const reference = withTag(name, queryString(request, "tag"));
  const credentials = registryAuth(request.registryAuth);
  parseReference(reference);
  return progressStream(async (progress) => {
    await request.engine.pullImage(reference, {
      platform: queryString(request, "platform"),
      credentials,
      report: (line) => progress.report(formatProgress(line)),
      signal: request.signal,
    });
  });
}
