import type { AttachSession } from "../engine/types.ts";
import { outputType } from "./container-logs.ts";
import { carryStreams } from "./process-streams.ts";
import type { HijackReply } from "./reply.ts";
import { parameter, queryFlag, queryString, type ApiRequest } from "./request.ts";

/** `POST /containers/{name}/attach`: errors come before the upgrade, as plain answers. */
export async function attachContainer(request: ApiRequest): Promise<HijackReply> {
  const { session, stdin, tty } = await openSession(request);
  return {
    kind: "hijack",
    contentType: outputType(request, tty),
    run: (connection) => carryStreams(session, connection, { tty, stdin }),
    abandon: () => session.close(),
  };
}

/** `GET /containers/{name}/attach/ws`: for browsers. As docker's it tells the two outputs apart by nothing. */
export async function attachWebsocket(request: ApiRequest): Promise<HijackReply> {
  const { session, stdin } = await openSession(request);
  return {
    kind: "hijack",
    contentType: "",
    isWebsocket: true,
    run: (connection) => carryStreams(session, connection, { tty: true, stdin }),
    abandon: () => session.close(),
  };
}

async function openSession(
  request: ApiRequest,
): Promise<{ session: AttachSession; stdin: boolean; tty: boolean }> {
  const { engine } = request;
  const container = engine.container(parameter(request, "name"));
  const stdin = queryFlag(request, "stdin");
  const session = await engine.attach(container.id, {
    stdin,
    stdout: queryFlag(request, "stdout"),
    stderr: queryFlag(request, "stderr"),
    logs: queryFlag(request, "logs"),
    stream: queryFlag(request, "stream"),
    detachKeys: queryString(request, "detachKeys"),
  });
  return { session, stdin, tty: container.spec.tty };
}
