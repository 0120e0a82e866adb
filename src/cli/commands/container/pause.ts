import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { forEachOperand } from "../../for-each-operand.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Pause all processes within one or more containers",
  examples: `# Everything in it stands still, in memory
tiffin pause web
tiffin unpause web`,
  flags: [],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "pause")),
  );
}
