import { invalidArgument } from "../base/error.ts";
import { DEFAULT_DOMAIN } from "../base/reference.ts";
import { formatProgress, progressStream } from "./progress-stream.ts";
import { queryPlatform } from "./query-platform.ts";
import { credentialsIn, registryAuth } from "./registry-auth.ts";
import { json, stream } from "./reply.ts";
import type { JsonReply, StreamReply } from "./reply.ts";
import { type ApiRequest, parameter, queryString, readJson } from "./request.ts";
import type { Route } from "./router.ts";

/** Images on their way out, and who may. Tried before `/images/{name}/…`. */
export const imageTransferRoutes: readonly Route[] = [
  { method: "POST", path: "/auth", handler: checkLogin },
  { method: "GET", path: "/images/get", handler: saveImages },
  { method: "GET", path: "/images/{name...}/get", handler: saveImages },
  { method: "POST", path: "/images/{name...}/push", handler: pushImage },
];

/** `POST /auth`: asks the registry whether it knows these credentials. */
async function checkLogin(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  const given = ["username", "password", "identitytoken", "auth", "registrytoken"];
  const credentials = credentialsIn(
    Object.fromEntries(given.map((key) => [key, body.string(key)])),
  );
  if (credentials === undefined) throw invalidArgument("no credentials: username is missing");
  const domain = domainOf(body.string("serveraddress"));
  const identity = await request.engine.registry.checkLogin(domain, credentials);
  return json({ Status: "Login Succeeded", IdentityToken: identity });
}

/** `https://index.docker.io/v1/`, `https://registry.example:5000`, `registry.example:5000` */
function domainOf(address: string): string {
  const host = address.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return host === "" || host === "index.docker.io" ? DEFAULT_DOMAIN : host;
}

/** `POST /images/{name}/push`: docker's progress lines; `aux` says what became of each tag. */
function pushImage(request: ApiRequest): StreamReply {
  const name = parameter(request, "name");
  const credentials = registryAuth(request.registryAuth);
  const platform = queryPlatform(request);
  return progressStream(async (progress) => {
    await request.engine.pushImage(name, {
      tag: queryString(request, "tag"),
      platform,
      credentials,
      report: (line) => progress.report(formatProgress(line)),
      done: ({ tag, digest, sizeBytes }) =>
        progress.report({ progressDetail: {}, aux: { Tag: tag, Digest: digest, Size: sizeBytes } }),
      signal: request.signal,
    });
  });
}

/** `GET /images/get?names=…` and `GET /images/{name}/get`: an archive. */
function saveImages(request: ApiRequest): StreamReply {
  const name = request.parameters["name"];
  const names =
    name !== undefined ? [name] : request.query.getAll("names").flatMap((list) => list.split(","));
  if (names.length === 0) throw invalidArgument("no images to save: names is missing");
  const platform = queryPlatform(request);
  const { signal } = request;
  const archive = request.engine.images.save(names, { signal, ...(platform && { platform }) });
  return stream("application/x-tar", async (sink) => {
    for await (const chunk of archive) await sink.write(chunk);
  });
}
