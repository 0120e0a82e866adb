import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { forEachOperand } from "../../for-each-operand.ts";

export const command: Command = {
  usage: "CONTAINER [CONTAINER...]",
  summary: "Unpause all processes within one or more containers",
  examples: `tiffin unpause web`,
  flags: [],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "unpause")),
  );
}
