import { type CopyRequest, copyLog, type LogControl, readLog } from "../logs/index.ts";
import { containerDirectories } from "./container-directories.ts";
import type { EngineContext } from "./context.ts";
import type { LogLine, LogRequest } from "./engine.ts";
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
  request: CopyRequest,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { directory, control } = openLog(context, name, signal);
  yield* copyLog(directory, request, control);
}

function openLog(
  context: EngineContext,
  name: string,
  signal: AbortSignal | undefined,
): { directory: string; control: LogControl } {
  const { id, spec } = context.containers.find(name);
  if (spec.logDriver === "none") {
    throw new TiffinError("not-implemented", "Configured logging driver does not support reading", {
      hint: "The container was made with --log-driver none",
    });
  }
  const ended = context.processes.get(id)?.ended ?? Promise.resolve();
  return { directory: containerDirectories(context.places, id).logs, control: { signal, ended } };
}
