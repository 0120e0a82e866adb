import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { toggle } from "../../flag.ts";
import { forEachOperand } from "../../for-each-operand.ts";

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
  const query = context.arguments.get(force) ? { force: 1 } : {};
  return await forEachOperand(context, (name) =>
    context.api.run("DELETE", apiPath("volumes", name), { query }),
  );
}
