import type { Command, Context } from "../../command.ts";
import { joined } from "../../failure.ts";
import { manifestReference, mustReadList, removeList } from "../../manifest-store.ts";

export const command: Command = {
  usage: "MANIFEST_LIST [MANIFEST_LIST...]",
  summary: "Delete one or more manifest lists from local storage",
  examples: `# What is in a registry stays there
tiffin manifest rm team/app:3`,
  flags: [],
  operands: { atLeast: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const errors: unknown[] = [];
  for (const name of context.arguments.operands) {
    try {
      const reference = manifestReference(name);
      mustReadList(context.world, reference);
      removeList(context.world, reference);
    } catch (error) {
      errors.push(error);
    }
  }
  const failed = joined(errors);
  if (failed !== undefined) throw failed;
  return 0;
}
