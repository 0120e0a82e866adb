import { invalidArgument } from "../base/error.ts";
import type { Container } from "../engine/types.ts";
import type { LogCopy } from "../engine/engine.ts";
import { isAtLeast } from "./api-version.ts";
import { parseNanoseconds } from "./docker-time.ts";
import { stream, type StreamReply } from "./reply.ts";
import { parameter, queryFlag, queryString, type ApiRequest } from "./request.ts";

const rawStream = "application/vnd.docker.raw-stream";
const multiplexedStream = "application/vnd.docker.multiplexed-stream";

/** The type of a stream of output. Before 1.42 framed streams were called raw as well. */
export function outputType(request: ApiRequest, tty: boolean): string {
  return !tty && isAtLeast(request.version, 1, 42) ? multiplexedStream : rawStream;
}

/**
 * `GET /containers/{name}/logs`. Followed logs have one frame a line, which clients that print as it comes rely on; others as few frames as can be.
 */
export async function containerLogs(request: ApiRequest): Promise<StreamReply> {
  const { engine, signal } = request;
  const container = engine.container(parameter(request, "name"));
  const copy = readLogRequest(request, container);
  const chunks = engine.copyLogs(container.id, copy, signal)[Symbol.asyncIterator]();
  const first = chunks.next();
  // A log that cannot be read says so within this turn, while the status can still tell it.
  await Promise.race([first, new Promise((resolve) => void setImmediate(resolve))]);
  return stream(
    outputType(request, container.spec.tty),
    async (sink) => {
      for (let next = await first; next.done !== true; next = await chunks.next()) {
        await sink.write(next.value);
      }
    },
    { headersFirst: true },
  );
}

function readLogRequest(request: ApiRequest, container: Container): LogCopy {
  const stdout = queryFlag(request, "stdout");
  const stderr = queryFlag(request, "stderr");
  if (!stdout && !stderr) {
    throw invalidArgument("Bad parameters: you must choose at least one stream");
  }
  const follow = queryFlag(request, "follow");
  return {
    stdout,
    stderr,
    follow,
    sinceNano: parseNanoseconds("since", queryString(request, "since")),
    untilNano: parseNanoseconds("until", queryString(request, "until")),
    tail: readTail(queryString(request, "tail")),
    format: container.spec.tty ? "raw" : "multiplexed",
    timestamps: queryFlag(request, "timestamps"),
    details: queryFlag(request, "details"),
    framePerLine: follow,
  };
}

/** Docker takes everything that is no number as "all". */
function readTail(value: string): number | null {
  return /^\d{1,9}$/.test(value) ? Number(value) : null;
}
