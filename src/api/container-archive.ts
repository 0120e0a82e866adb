import { invalidArgument } from "../base/error.ts";
import type { PathStatus } from "../engine/engine.ts";
import { empty, stream, text } from "./reply.ts";
import type { EmptyReply, StreamReply, TextReply } from "./reply.ts";
import { parameter, queryFlag, queryString } from "./request.ts";
import type { ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";

export const archiveRoutes: readonly Route[] = [
  { method: "HEAD", path: "/containers/{name}/archive", handler: statPath },
  { method: "GET", path: "/containers/{name}/archive", handler: readPath },
  { method: "PUT", path: "/containers/{name}/archive", handler: writePath },
  { method: "GET", path: "/containers/{name}/changes", handler: listChanges },
  { method: "GET", path: "/containers/{name}/export", handler: exportContainer },
];

const statusHeader = "X-Docker-Container-Path-Stat";

async function statPath(request: ApiRequest): Promise<TextReply> {
  const name = parameter(request, "name");
  const status = await request.engine.statPath(name, askedPath(request));
  return text("", statusHeaders(status));
}

async function readPath(request: ApiRequest): Promise<StreamReply> {
  const archive = await request.engine.readPath({
    name: parameter(request, "name"),
    path: askedPath(request),
    signal: request.signal,
  });
  return stream("application/x-tar", (sink) => sendAll(archive.chunks, sink), {
    headers: statusHeaders(archive.status),
    abandon: () => void archive.close(),
  });
}

async function writePath(request: ApiRequest): Promise<EmptyReply> {
  await request.engine.writePath({
    name: parameter(request, "name"),
    path: askedPath(request),
    asContainerUser: queryFlag(request, "copyUIDGID"),
    keepsKinds: queryFlag(request, "noOverwriteDirNonDir"),
    archive: request.body,
    signal: request.signal,
  });
  return empty(200);
}

function exportContainer(request: ApiRequest): StreamReply {
  const chunks = request.engine.exportContainer(parameter(request, "name"), request.signal);
  return stream("application/octet-stream", (sink) => sendAll(chunks, sink));
}

/** One JSON list, written as it is found; docker's word for an empty one is null. */
function listChanges(request: ApiRequest): StreamReply {
  const pieces = request.engine.changes(parameter(request, "name"), request.signal);
  return stream("application/json", async (sink) => {
    let isFirst = true;
    for await (const piece of pieces) {
      const lines = piece.map(({ kind, path }) => JSON.stringify({ Path: path, Kind: kind }));
      await sink.write(`${isFirst ? "[" : ","}${lines.join(",")}`);
      isFirst = false;
    }
    await sink.write(isFirst ? "null\n" : "]\n");
  });
}

async function sendAll(
  chunks: AsyncIterable<Uint8Array>,
  sink: { write(chunk: Uint8Array): Promise<void> },
): Promise<void> {
  for await (const chunk of chunks) await sink.write(chunk);
}

function askedPath(request: ApiRequest): string {
  const path = queryString(request, "path");
  if (path === "") throw invalidArgument("bad parameter: path cannot be empty");
  return path;
}

function statusHeaders(status: PathStatus): Record<string, string> {
  const json = JSON.stringify({
    name: status.name,
    size: status.sizeBytes,
    mode: goMode(status.mode),
    mtime: timeOf(status.mtimeNs),
    linkTarget: status.linkTarget,
  });
  return { [statusHeader]: Buffer.from(json).toString("base64") };
}

/** Types by their number in a mode's upper bits, as bits of Go's io/fs.FileMode. */
const goTypes: Readonly<Record<number, number>> = {
  0o01: 2 ** 25,
  0o02: 2 ** 26 + 2 ** 21,
  0o04: 2 ** 31,
  0o06: 2 ** 26,
  0o12: 2 ** 27,
  0o14: 2 ** 24,
};

/** A mode as Go's clients have it: the type, setuid, setgid and sticky have bits of their own. Exported for its test. */
export function goMode(mode: number): number {
  return (
    (mode & 0o777) +
    (goTypes[mode >>> 12] ?? 0) +
    ((mode & 0o4000) === 0 ? 0 : 2 ** 23) +
    ((mode & 0o2000) === 0 ? 0 : 2 ** 22) +
    ((mode & 0o1000) === 0 ? 0 : 2 ** 20)
  );
}

/** RFC 3339 with as many digits as the time has. */
function timeOf(nanoseconds: bigint): string {
  const billion = 1_000_000_000n;
  const fraction = ((nanoseconds % billion) + billion) % billion;
  const seconds = Number((nanoseconds - fraction) / billion);
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  const whole = new Date(seconds * 1000).toISOString().slice(0, 19);
  return `${whole}${digits === "" ? "" : `.${digits}`}Z`;
}
