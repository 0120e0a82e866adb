import type { Command, Context } from "../../command.ts";
import { joined } from "../../failure.ts";
import { waitForExit } from "./exit-status.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Block until one or more containers stop, then print their exit codes",
  examples: `# The exit status of a container that runs in the background
status=$(tiffin wait job)`,
  flags: [],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const errors: unknown[] = [];
  for (const name of context.arguments.operands) {
    try {
      const { status } = await waitForExit(context, name, "not-running");
      await context.print(String(await status));
    } catch (error) {
      errors.push(error);
    }
  }
  const all = joined(errors);
  if (all !== undefined) throw all;
  return 0;
}
