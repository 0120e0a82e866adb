import { invalidArgument, TiffinError } from "../base/error.ts";
import type { Engine } from "../engine/engine.ts";
import type { ApiVersion } from "./api-version.ts";
import { JsonObject } from "./json-object.ts";

/** Bound of a JSON body; docker's largest, a create with a seccomp profile in it, has some tens of kilobytes. */
const maximumJsonBytes = 4 * 1024 * 1024;

/** A request as handlers see it: no sockets, so that a test can make one. */
export interface ApiRequest {
  readonly engine: Engine;
  readonly method: string;
  /** Without version and query, decoded. */
  readonly path: string;
  /** What the route's placeholders matched. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly version: ApiVersion;
  readonly contentType: string;
  /** Docker's X-Registry-Auth, or "". */
  readonly registryAuth: string;
  readonly body: AsyncIterable<Uint8Array>;
  /** The client is root on this very host, and paths mean to it what they mean to the engine. */
  readonly sharesHost: () => boolean;
  /** Aborted when the client leaves or the server closes. */
  readonly signal: AbortSignal;
}

/** The value of a placeholder of the route's pattern. */
export function parameter(request: ApiRequest, name: string): string {
  const value = request.parameters[name];
  if (value === undefined) throw new TiffinError("internal", `No ${name} in ${request.path}`);
  return value;
}

/** A flag in the query, by docker's rule: all but "", 0, no, false and none is true. */
export function queryFlag(request: ApiRequest, name: string): boolean {
  const value = (request.query.get(name) ?? "").trim().toLowerCase();
  return !["", "0", "no", "false", "none"].includes(value);
}

export function queryString(request: ApiRequest, name: string): string {
  return request.query.get(name) ?? "";
}

/** A whole number in the query; undefined when absent or empty. @throws invalid-argument */
export function queryInteger(request: ApiRequest, name: string): number | undefined {
  const value = request.query.get(name) ?? "";
  if (value === "") return undefined;
  if (!/^[+-]?\d{1,15}$/.test(value)) {
    throw invalidArgument(`invalid value "${value}" for ${name}: want a whole number`);
  }
  return Number(value);
}

/** The body as a JSON object. @throws invalid-argument: not JSON, not an object, too large, another content type */
export async function readJson(request: ApiRequest): Promise<JsonObject> {
  const type = request.contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type !== "" && type !== "application/json") {
    throw invalidArgument(`Content-Type specified (${type}) must be 'application/json'`);
  }
  const text = (await readAll(request.body)).toString("utf8");
  if (text.trim() === "") return new JsonObject({});
  // Go's clients encode a missing configuration as null.
  return new JsonObject(parseJson(text) ?? {});
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maximumJsonBytes) {
      throw invalidArgument(`request body is larger than ${maximumJsonBytes} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TiffinError("invalid-argument", `invalid JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}
