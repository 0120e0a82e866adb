import { JsonObject } from "./json-object.ts";
import { json } from "./reply.ts";
import type { JsonReply } from "./reply.ts";
import { type ApiRequest, queryString, readJson } from "./request.ts";
import type { Route } from "./router.ts";
import { invalidArgument } from "../base/error.ts";
import type { CommitRequest } from "../engine/commit-container.ts";

export const commitRoutes: readonly Route[] = [
  { method: "POST", path: "/commit", handler: commitContainer },
];

async function commitContainer(request: ApiRequest): Promise<JsonReply> {
  const name = queryString(request, "container");
  if (name === "") throw invalidArgument("bad parameter: container cannot be empty");
  const repository = queryString(request, "repo");
  const tag = queryString(request, "tag");
  const pause = request.query.get("pause");
  const id = await request.engine.commitContainer({
    name,
    ...(repository === "" ? {} : { reference: tag === "" ? repository : `${repository}:${tag}` }),
    author: queryString(request, "author"),
    comment: queryString(request, "comment"),
    changes: request.query
      .getAll("changes")
      .flatMap((text) => text.split("\n"))
      .filter(isText),
    config: readConfig(await readJson(request)),
    // Docker's default for versions without the parameter.
    pause: pause === null || !["", "0", "no", "false", "none"].includes(pause.toLowerCase()),
  });
  return json({ Id: id }, 201);
}

function isText(text: string): boolean {
  return text.trim() !== "";
}

/** What is set in the body, which has the shape of a container's configuration. */
function readConfig(body: JsonObject): CommitRequest["config"] {
  const user = body.string("User");
  const workingDirectory = body.string("WorkingDir");
  const stopSignal = body.string("StopSignal");
  const command = body.stringsOrOne("Cmd");
  const entrypoint = body.stringsOrOne("Entrypoint");
  const environment = body.strings("Env");
  const triggers = body.strings("OnBuild");
  const asSet = (keys: string[]): Record<string, object> =>
    Object.fromEntries(keys.map((key) => [key, {}]));
  return {
    ...(user === "" ? {} : { User: user }),
    ...(workingDirectory === "" ? {} : { WorkingDir: workingDirectory }),
    ...(stopSignal === "" ? {} : { StopSignal: stopSignal }),
    ...(command === null ? {} : { Cmd: command }),
    ...(entrypoint === null ? {} : { Entrypoint: entrypoint }),
    ...(environment.length === 0 ? {} : { Env: environment }),
    ...(triggers.length === 0 ? {} : { OnBuild: triggers }),
    Labels: body.stringMap("Labels"),
    ExposedPorts: asSet(body.keys("ExposedPorts")),
    Volumes: asSet(body.keys("Volumes")),
  };
}
