import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { forEachOperand } from "../../for-each-operand.ts";
import { STOP_FLAGS, stopQuery } from "./stop-options.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Restart one or more containers",
  examples: "# With three seconds to end by itself\ntiffin restart --timeout 3 web",
  flags: STOP_FLAGS,
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const query = stopQuery(context.arguments);
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "restart"), { query }),
  );
}
