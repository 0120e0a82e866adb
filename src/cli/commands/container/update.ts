import { messageOf } from "../../../base/error.ts";
import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { parseRestartPolicy } from "../../container-options/lifecycle.ts";
import { parsePorts } from "../../container-options/ports.ts";
import { NET_RATE_FLAG, rateAnnotation } from "../../container-options/networking.ts";
import { CHANGEABLE_FLAGS, changedResources } from "../../container-options/resources.ts";
import { failure, joined } from "../../failure.ts";
import { list, text } from "../../flag.ts";

const publishAdd = list("publish-add", "Publish a further port to the host, also while it runs");
const publishRemove = list(
  "publish-rm",
  "Publish a port of the host no longer ([IP:]HOST[:CONTAINER][/PROTO])",
);
const restart = text("restart", "Restart policy to apply when a container exits");

const flags = [...CHANGEABLE_FLAGS, publishAdd, publishRemove, restart, NET_RATE_FLAG];

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Update configuration of one or more containers",
  examples:
    "# Limits and policies, also of what runs\ntiffin update --memory 512m --memory-swap 1g web\ntiffin update --restart unless-stopped web db\ntiffin update --net-rate 20mbit/10mbit web\n# Another port of the host, without a restart\ntiffin update --publish-add 8081:80 --publish-rm 8080 web",
  flags,
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  if (!flags.some((flag) => given.has(flag))) {
    throw failure("you must provide one or more flags when using this command");
  }
  const body = updateBody(context);
  // Docker's engine would pass over the ports and the rate.
  const isOurs = [publishAdd, publishRemove, NET_RATE_FLAG].some((flag) => given.has(flag));
  const place = isOurs ? ["tiffin", "containers"] : ["containers"];
  const errors: unknown[] = [];
  const warnings: string[] = [];
  for (const name of given.operands) {
    try {
      const path = apiPath(...place, name, "update");
      const answer = await context.api.json("POST", path, { body });
      warnings.push(...((answer as { Warnings: string[] | null }).Warnings ?? []));
      await context.print(name);
    } catch (error) {
      errors.push(error);
    }
  }
  // On standard output, as docker.
  if (warnings.length > 0) await context.print(warnings.join("\n"));
  const all = joined(errors);
  if (all !== undefined) throw all;
  return 0;
}

function updateBody(context: Context): Record<string, unknown> {
  const given = context.arguments;
  try {
    return {
      ...changedResources(given),
      ...(given.has(publishAdd)
        ? { PublishAdd: parsePorts(given.get(publishAdd), []).bindings }
        : {}),
      ...(given.has(publishRemove) ? { PublishRemove: given.get(publishRemove) } : {}),
      ...(given.has(NET_RATE_FLAG) ? { Annotations: rateAnnotation(given) } : {}),
      ...(given.has(restart) ? { RestartPolicy: parseRestartPolicy(given.get(restart)) } : {}),
    };
  } catch (error) {
    throw failure(messageOf(error));
  }
}
