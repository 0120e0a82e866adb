import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { forEachOperand } from "../../for-each-operand.ts";
import { STOP_FLAGS, stopQuery } from "./stop-options.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop one or more running containers",
  examples: `# With a minute to end by itself
tiffin stop -t 60 web`,
  flags: STOP_FLAGS,
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const query = stopQuery(context.arguments);
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "stop"), { query }),
  );
}
