import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { joined } from "../../failure.ts";
import { toggle } from "../../flag.ts";

const force = toggle("force", "Force the removal of one or more volumes", { short: "f" });

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Remove one or more volumes",
  examples: `# No complaint when it is not there
tiffin volume rm -f site`,
  flags: [force],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = given.get(force) ? { force: 1 } : {};
  const errors: unknown[] = [];
  for (const name of given.operands) {
    try {
      await context.api.run("DELETE", apiPath("volumes", name), { query });
      await context.print(name);
    } catch (error) {
      errors.push(error);
    }
  }
  const all = joined(errors);
  if (all !== undefined) throw all;
  return 0;
}
