import { invalidArgument, isTiffinError, TiffinError } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import {
  hostPlatform,
  parsePlatform,
  type Platform,
  platformFits,
  platformName,
} from "../images/manifest.ts";
import type { WaitCondition, WaitResult } from "../engine/types.ts";
import { isAtLeast } from "./api-version.ts";
import { archiveRoutes } from "./container-archive.ts";
import { attachContainer, attachWebsocket } from "./container-attach.ts";
import { readContainerSpec } from "./container-config.ts";
import { formatInspect } from "./container-json.ts";
import { containerSizes, listContainers } from "./container-list.ts";
import { unlessMissing } from "./unless-missing.ts";
import { stopOptions } from "./container-verbs.ts";
import { containerLogs } from "./container-logs.ts";
import { containerStats } from "./container-stats.ts";
import type { JsonObject } from "./json-object.ts";
import { empty, json, stream } from "./reply.ts";
import type { EmptyReply, JsonReply, StreamReply } from "./reply.ts";
import { parameter, queryFlag, queryInteger, queryString, readJson } from "./request.ts";
import type { ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

export const containerRoutes: readonly Route[] = [
  { method: "GET", path: "/containers/json", handler: listContainers },
  { method: "POST", path: "/containers/create", handler: createContainer },
  { method: "GET", path: "/containers/{name}/json", handler: inspectContainer },
  { method: "GET", path: "/containers/{name}/logs", handler: containerLogs },
  { method: "GET", path: "/containers/{name}/stats", handler: containerStats },
  { method: "POST", path: "/containers/{name}/start", handler: startContainer },
  { method: "POST", path: "/containers/{name}/stop", handler: stopContainer },
  { method: "POST", path: "/containers/{name}/kill", handler: killContainer },
  { method: "POST", path: "/containers/{name}/wait", handler: waitContainer },
  { method: "POST", path: "/containers/{name}/attach", handler: attachContainer },
  { method: "GET", path: "/containers/{name}/attach/ws", handler: attachWebsocket },
  { method: "POST", path: "/containers/{name}/resize", handler: resizeContainer },
  { method: "DELETE", path: "/containers/{name}", handler: removeContainer },
  ...archiveRoutes,
];

async function createContainer(request: ApiRequest): Promise<JsonReply> {
  const body = await readJson(request);
  const spec = readContainerSpec(body);
  const asked = queryString(request, "platform");
  const platform = asked === "" || asked === "linux" ? undefined : parsePlatform(asked);
  const platformWarnings =
    platform === undefined ? foreignPlatform(request.engine, spec.image) : [];
  const { id, warnings } = await request.engine.createContainer({
    name: queryString(request, "name").replace(/^\//, ""),
    spec,
    ...(platform && { platform }),
  });
  return json(
    { Id: id, Warnings: [...platformWarnings, ...kernelMemoryWarning(request, body), ...warnings] },
    201,
  );
}

/** No kernel since 5.4 limits its own memory: newer clients' wish is passed over, older ones are told. */
function kernelMemoryWarning({ version }: ApiRequest, body: JsonObject): string[] {
  const isTold =
    !isAtLeast(version, 1, 42) && body.object("HostConfig").integer("KernelMemory") > 0;
  return isTold
    ? [
        "Your kernel does not support kernel memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
      ]
    : [];
}

const architectures: Readonly<Record<string, string>> = { x86_64: "amd64", aarch64: "arm64" };

/** The host's architecture in the words of image platforms. */
export function platformArchitecture(architecture: string): string {
  return architectures[architecture] ?? architecture;
}

/** A warning when the image is for another machine and nobody asked for that. */
function foreignPlatform(engine: Engine, imageName: string): string[] {
  const image = unlessMissing(() => engine.images.image(imageName));
  const own = hostPlatform();
  if (image === undefined || image.config.architecture === "") return [];
  return platformFits(image.config, own) ? [] : [platformWarning(image.config, own)];
}

function platformWarning(image: Platform, own: Platform): string {
  return `The requested image's platform (${platformName(image)}) does not match the detected host platform (${platformName(own)}) and no specific platform was requested`;
}

async function inspectContainer(request: ApiRequest): Promise<JsonReply> {
  const { engine } = request;
  const container = engine.container(parameter(request, "name"));
  const size = queryFlag(request, "size") ? await containerSizes(engine, container) : undefined;
  return json(
    formatInspect(container, {
      version: request.version,
      networks: engine.networks,
      places: engine.places,
      ...engine.isolation(container.id),
      execIds: engine.execs(container.id),
      volumePath: (name) => engine.volumes.path(name),
      layers: unlessMissing(() => engine.images.layerDirectories(container.imageId)) ?? [],
      ...(size === undefined ? {} : { size }),
    }),
  );
}

async function startContainer(request: ApiRequest): Promise<EmptyReply> {
  if (queryString(request, "checkpoint") !== "") {
    throw new TiffinError("not-implemented", "Checkpoints are not supported", {
      hint: "Start the container without --checkpoint",
    });
  }
  await request.engine.startContainer(parameter(request, "name"));
  return empty();
}

async function stopContainer(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.stopContainer(parameter(request, "name"), stopOptions(request));
  return empty();
}

async function killContainer(request: ApiRequest): Promise<EmptyReply> {
  const signal = queryString(request, "signal") || "SIGKILL";
  const name = parameter(request, "name");
  try {
    await request.engine.killContainer(name, signal);
  } catch (error) {
    if (!isTiffinError(error, "not-found", "conflict")) throw error;
    throw new TiffinError(error.code, `Cannot kill container: ${name}: ${error.message}`, {
      cause: error,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
  return empty();
}

async function removeContainer(request: ApiRequest): Promise<EmptyReply> {
  if (queryFlag(request, "link")) {
    throw new TiffinError("not-implemented", "Links are not supported", {
      hint: "Remove the container without --link",
    });
  }
  await request.engine.removeContainer(parameter(request, "name"), {
    force: queryFlag(request, "force"),
    volumes: queryFlag(request, "v"),
  });
  return empty();
}

/**
 * Since 1.30 the headers come once the wait is registered, so that a client can start the container without missing its
 * exit; older clients got everything at the end.
 */
function waitContainer(request: ApiRequest): StreamReply {
  const condition = waitCondition(request);
  const { result } = request.engine.waitContainer(
    parameter(request, "name"),
    condition,
    request.signal,
  );
  return stream(
    "application/json",
    async (sink) => {
      const answer = formatWait(await unlessAborted(result, request.signal));
      await sink.write(`${JSON.stringify(answer)}\n`);
    },
    { headersFirst: isAtLeast(request.version, 1, 30) },
  );
}

/** A wait that nobody is there for any more must not be held for ever. @throws unavailable */
function unlessAborted<Value>(result: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const leave = (): void =>
      reject(new TiffinError("unavailable", "The engine closes, or the client has left"));
    if (signal.aborted) leave();
    signal.addEventListener("abort", leave, { once: true });
    result.then(resolve, reject).finally(() => signal.removeEventListener("abort", leave));
  });
}

function formatWait({ exitCode, error }: WaitResult): object {
  return {
    StatusCode: exitCode,
    ...(error === undefined ? {} : { Error: { Message: error } }),
  };
}

function waitCondition(request: ApiRequest): WaitCondition {
  const condition = queryString(request, "condition") || "not-running";
  if (condition === "not-running" || condition === "next-exit" || condition === "removed") {
    return condition;
  }
  throw invalidArgument(
    `invalid condition: "${condition}"`,
    "Use not-running, next-exit or removed",
  );
}

async function resizeContainer(request: ApiRequest): Promise<EmptyReply> {
  const { rows, columns } = terminalSize(request);
  await request.engine.resizeContainer(parameter(request, "name"), rows, columns);
  return empty(200);
}

/** `h` and `w` of a resize. @throws invalid-argument */
export function terminalSize(request: ApiRequest): { rows: number; columns: number } {
  const rows = queryInteger(request, "h");
  const columns = queryInteger(request, "w");
  for (const size of [rows, columns]) {
    if (size === undefined || size < 0 || size > 65535) {
      throw invalidArgument("invalid terminal size: h and w must be numbers from 0 to 65535");
    }
  }
  return { rows: rows ?? 0, columns: columns ?? 0 };
}
