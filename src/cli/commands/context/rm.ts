import type { Command, Context } from "../../command.ts";
import {
  chooseContext,
  currentContext,
  DEFAULT_CONTEXT,
  readContext,
  removeContext,
} from "../../context-store.ts";
import { describe, failure } from "../../failure.ts";
import { toggle } from "../../flag.ts";

const force = toggle("force", "Force the removal of a context in use", { short: "f" });

export const command: Command = {
  usage: "CONTEXT [CONTEXT...]",
  summary: "Remove one or more contexts",
  examples: `# Also when it is the one in use; the default one is then
tiffin context rm --force lab`,
  flags: [force],
  operands: { atLeast: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const errors: string[] = [];
  for (const name of context.arguments.operands) {
    try {
      removeOne(context, name);
      await context.print(name);
    } catch (error) {
      errors.push(describe(error));
    }
  }
  if (errors.length > 0) throw failure(errors.join("\n"));
  return 0;
}

function removeOne(context: Context, name: string): void {
  const { environment } = context.world;
  const isForced = context.arguments.get(force);
  if (name === DEFAULT_CONTEXT) throw failure(`context "${name}" cannot be removed`);
  const found = readContext(environment, name);
  if (found === undefined) {
    if (isForced) return;
    throw failure(`context "${name}" does not exist`);
  }
  if (!found.isOurs) {
    throw failure(
      `tiffin: Cannot remove context "${name}": it is docker's, in ${found.metadataPath}\nhint: Remove it with docker context rm ${name}`,
    );
  }
  if (name === context.places.context) {
    if (!isForced) {
      throw failure(`context "${name}" is in use, set -f flag to force remove`);
    }
    if (currentContext(environment) === name) chooseContext(environment, DEFAULT_CONTEXT);
  }
  removeContext(found);
}
