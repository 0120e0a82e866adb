import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import type { CreateBody } from "../../container-options/create-body.ts";
import { HEALTH_FLAGS } from "../../container-options/health.ts";
import { toggle } from "../../flag.ts";
import { parse } from "../../grammar.ts";
import { type Recreation, recreate } from "../../recreate/recreate.ts";
import { isProfile } from "../../recreate/run-words.ts";
import { failure } from "../../failure.ts";
import { CREATION_FLAGS, createContainer, readWanted, type Wanted } from "./creation.ts";

const start = toggle("start", "Start the new container");

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [COMMAND] [ARG...]",
  summary: "Create a second container from a first, with its options and others over them",
  examples:
    "tiffin clone --name web2 web\ntiffin clone --start --memory 1g --env MODE=test web\ntiffin clone --rm=false web sh -c 'exec serve --debug'",
  flags: [...CREATION_FLAGS, start],
  operands: { atLeast: 1 },
  interspersed: false,
  inEngine: () => true,
  run,
};

/** Lists whose values replace those of the first container; those of others are added to them. */
const REPLACED = ["network", "attach"];
const DETACH = "--detach";

async function run(context: Context): Promise<number> {
  const [name = "", ...ownCommand] = context.arguments.operands;
  const first = await recreate(context, name);
  const options = first.words.options.filter((word) => word !== DETACH);
  const parsed = parse(options, CREATION_FLAGS, { interspersed: false });
  if (parsed.kind !== "arguments") throw failure(`Cannot read the options of ${name}`);
  const operands = ownCommand.length > 0 ? ownCommand : first.words.command;
  const merged = context.arguments.over(parsed.arguments, {
    operands: [first.words.image, ...operands],
    replaced: REPLACED,
  });
  const wanted = readWanted({ ...context, arguments: merged }, "create");
  const id = await createContainer(context, withTheRest(wanted, first, context));
  if (context.arguments.get(start)) {
    await context.api.run("POST", apiPath("containers", id, "start"));
  }
  await context.print(id);
  return 0;
}

/** What the first container has and no command line can say. */
function withTheRest(wanted: Wanted, { container, words }: Recreation, context: Context): Wanted {
  const { body } = wanted;
  const { HostConfig: host } = body;
  const choosesHealth = HEALTH_FLAGS.some((flag) => context.arguments.has(flag));
  const health = container.Config["Healthcheck"];
  const security = (host["SecurityOpt"] ?? []) as readonly string[];
  const profiles = ((container.HostConfig["SecurityOpt"] ?? []) as readonly string[]).filter(
    isProfile,
  );
  const isFiltered = security.some((option) => option.startsWith("seccomp"));
  const streams = { AttachStdin: false, AttachStdout: false, AttachStderr: false };
  const whole: CreateBody = {
    ...body,
    ...(words.options.includes(DETACH) ? streams : {}),
    ...(choosesHealth || health === undefined ? {} : { Healthcheck: health }),
    HostConfig: {
      ...host,
      Binds: lastOf(host["Binds"], (bind) => String(bind).split(":")[1] ?? ""),
      Mounts: lastOf(host["Mounts"], (mount) => (mount as { Target: string }).Target),
      SecurityOpt:
        isFiltered || profiles.length === 0 ? host["SecurityOpt"] : [...security, ...profiles],
    },
  };
  return { ...wanted, body: whole };
}

/** Of several for the same place in the container the last one: the clone's own. */
function lastOf(list: unknown, placeOf: (item: unknown) => string): unknown {
  if (!Array.isArray(list)) return list ?? null;
  return [...new Map((list as unknown[]).map((item) => [placeOf(item), item])).values()];
}
