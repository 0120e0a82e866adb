import { copyLog, type LogControl, NO_LOG, readLog } from "../logs/index.ts";
import { containerDirectories } from "./container-directories.ts";
import type { EngineContext } from "./context.ts";
import type { LogCopy, LogLine, LogRequest } from "./engine.ts";
import { logAttributes } from "./log-attributes.ts";
import { TiffinError } from "../base/error.ts";

/** A container's log, in batches of lines; with `follow` until the container ends. @throws not-implemented (driver none) */
export async function* containerLogs(
  context: EngineContext,
  name: string,
  request: LogRequest,
  signal?: AbortSignal,
): AsyncGenerator<LogLine[]> {
  const { directory, control } = openLog(context, name, signal);
  yield* readLog(directory, request, control);
}

/** The same as large chunks in docker's stream format, ready to be sent. */
export async function* copyContainerLogs(
  context: EngineContext,
  name: string,
  { details, ...request }: LogCopy,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { directory, control } = openLog(context, name, signal);
  const linePrefix = details ? detailsOf(context, name) : undefined;
  yield* copyLog(directory, { ...request, ...(linePrefix && { linePrefix }) }, control);
}

/** docker's `KEY=VALUE,KEY=VALUE ` before a line: sorted, escaped as in a query; without attributes the blank is there too. */
function detailsOf(context: EngineContext, name: string): Uint8Array {
  const attributes = Object.entries(logAttributes(context.containers.find(name)));
  const pairs = attributes
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map((pair) => pair.map(escapeQuery).join("="));
  return Buffer.from(`${pairs.join(",")} `);
}

/** Go's url.QueryEscape. */
function escapeQuery(text: string): string {
  return encodeURIComponent(text.toWellFormed())
    .replaceAll("%20", "+")
    .replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

function openLog(
  context: EngineContext,
  name: string,
  signal: AbortSignal | undefined,
): { directory: string; control: LogControl } {
  const { id, spec } = context.containers.find(name);
  if (spec.logDriver === NO_LOG) {
    throw new TiffinError("not-implemented", "configured logging driver does not support reading", {
      hint: "The container was made with --log-driver none",
    });
  }
  const ended = context.processes.get(id)?.ended ?? Promise.resolve();
  return { directory: containerDirectories(context.places, id).logs, control: { signal, ended } };
}
