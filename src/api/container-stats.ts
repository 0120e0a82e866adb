import { invalidArgument } from "../base/error.ts";
import { stream, type StreamReply } from "./reply.ts";
import { parameter, queryFlag, type ApiRequest } from "./request.ts";
import { formatStats } from "./stats-json.ts";

/**
 * `GET /containers/{name}/stats`: one object a second, or with `stream=0` one. The first has an earlier sample for rates as
 * well (docker's first of a stream has none), unless `one-shot=1`.
 */
export function containerStats(request: ApiRequest): StreamReply {
  const { engine } = request;
  const streams = !request.query.has("stream") || queryFlag(request, "stream");
  const oneShot = queryFlag(request, "one-shot");
  if (streams && oneShot) throw invalidArgument("cannot have stream=true and one-shot=true");
  const wanted = { names: [parameter(request, "name")], all: true, stream: streams, oneShot };
  const samples = engine.stats(wanted, request.signal);
  return stream("application/json", async (sink) => {
    for await (const containers of samples) {
      for (const stats of containers) {
        await sink.write(`${JSON.stringify(formatStats(stats, engine.host))}\n`);
      }
    }
  });
}

/** `GET /tiffin/stats`: the same of many containers at once, as one line a second. */
export function listStats(request: ApiRequest): StreamReply {
  const { engine, query } = request;
  const names = query.getAll("container");
  const wanted = {
    names: names.length === 0 ? null : names,
    all: queryFlag(request, "all"),
    stream: queryFlag(request, "stream"),
    oneShot: false,
  };
  const samples = engine.stats(wanted, request.signal);
  return stream("application/json", async (sink) => {
    for await (const containers of samples) {
      const formatted = containers.map((stats) => formatStats(stats, engine.host));
      await sink.write(`${JSON.stringify({ containers: formatted })}\n`);
    }
  });
}
