import { invalidArgument, isTiffinError, type TiffinError } from "../base/error.ts";
import type { AttachSession, Exec, ExecSpec } from "../engine/types.ts";
import { outputType } from "./container-logs.ts";
import { terminalSize } from "./containers.ts";
import type { JsonObject } from "./json-object.ts";
import { carryStreams } from "./process-streams.ts";
import { empty, json } from "./reply.ts";
import type { EmptyReply, HijackReply, JsonReply, Reply } from "./reply.ts";
import { parameter, queryFlag, readJson, type ApiRequest } from "./request.ts";
import type { Route } from "./router.ts";
import { encodeFrame } from "./stream-frames.ts";

export const execRoutes: readonly Route[] = [
  { method: "POST", path: "/containers/{name}/exec", handler: createExec },
  { method: "POST", path: "/exec/{id}/start", handler: startExec },
  { method: "POST", path: "/exec/{id}/resize", handler: resizeExec },
  { method: "GET", path: "/exec/{id}/json", handler: inspectExec },
];

async function createExec(request: ApiRequest): Promise<JsonReply> {
  const spec = readExecSpec(await readJson(request));
  const { id } = await request.engine.createExec(parameter(request, "name"), spec);
  return json({ Id: id }, 201);
}

function readExecSpec(body: JsonObject): ExecSpec {
  const command = body.stringsOrOne("Cmd") ?? [];
  if (command.length === 0) throw invalidArgument("No exec command specified");
  return {
    command,
    environment: body.strings("Env"),
    workingDirectory: body.string("WorkingDir"),
    user: body.string("User"),
    tty: body.boolean("Tty"),
    terminalSize: body.terminalSize("ConsoleSize"),
    privileged: body.boolean("Privileged"),
    attachStdin: body.boolean("AttachStdin"),
    attachStdout: body.boolean("AttachStdout"),
    attachStderr: body.boolean("AttachStderr"),
    detachKeys: body.string("DetachKeys"),
  };
}

/**
 * Docker reports on the stream itself, after the upgrade, what kept the command from running (it is not there, or the user
 * or the working directory is not): its command line then takes the exit status (126, 127) from the exec's inspect. Errors
 * that come before anything was tried are plain answers.
 */
async function startExec(request: ApiRequest): Promise<Reply> {
  const body = await readJson(request);
  const exec = request.engine.exec(parameter(request, "id"));
  const { tty } = exec.spec;
  const timings = queryFlag(request, "timings");
  if (body.boolean("Detach")) {
    await request.engine.startExec(exec.id, { detach: true, tty, timings });
    return empty(200);
  }
  try {
    const session = await request.engine.startExec(exec.id, { detach: false, tty, timings });
    return session === undefined ? empty(200) : sessionReply(request, exec, session);
  } catch (error) {
    if (!isTiffinError(error) || !keptFromRunning(request, exec, error)) throw error;
    return failureReply(request, tty, error.message);
  }
}

function keptFromRunning(request: ApiRequest, before: Exec, error: TiffinError): boolean {
  if (error.code === "command-not-found" || error.code === "command-not-executable") return true;
  const wasTried = before.exitCode === null && request.engine.exec(before.id).exitCode !== null;
  return wasTried && error.code !== "internal";
}

function sessionReply(request: ApiRequest, { spec }: Exec, session: AttachSession): HijackReply {
  return {
    kind: "hijack",
    contentType: outputType(request, spec.tty),
    run: (connection) =>
      carryStreams(session, connection, { tty: spec.tty, stdin: spec.attachStdin }),
    abandon: () => session.close(),
  };
}

function failureReply(request: ApiRequest, tty: boolean, message: string): HijackReply {
  const words = Buffer.from(`${message}\r\n`);
  return {
    kind: "hijack",
    contentType: outputType(request, tty),
    run: (connection) => connection.write(tty ? words : encodeFrame("stdout", words)),
    abandon: () => undefined,
  };
}

async function resizeExec(request: ApiRequest): Promise<EmptyReply> {
  const { rows, columns } = terminalSize(request);
  await request.engine.resizeExec(parameter(request, "id"), rows, columns);
  return empty(200);
}

function inspectExec(request: ApiRequest): JsonReply {
  const exec = request.engine.exec(parameter(request, "id"));
  const [entrypoint = "", ...words] = exec.spec.command;
  return json({
    ID: exec.id,
    Running: exec.running,
    ExitCode: exec.exitCode,
    ProcessConfig: {
      tty: exec.spec.tty,
      entrypoint,
      arguments: words,
      privileged: exec.spec.privileged,
      ...(exec.spec.user === "" ? {} : { user: exec.spec.user }),
    },
    OpenStdin: exec.spec.attachStdin,
    OpenStderr: exec.spec.attachStderr,
    OpenStdout: exec.spec.attachStdout,
    CanRemove: exec.exitCode !== null,
    ContainerID: exec.containerId,
    DetachKeys: exec.spec.detachKeys,
    Pid: exec.pid,
  });
}
