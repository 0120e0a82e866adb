import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { text } from "../../flag.ts";
import { forEachOperand } from "../../for-each-operand.ts";

const signal = text("signal", "Signal to send to the container", { short: "s" });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Kill one or more running containers",
  examples: `# At once
tiffin kill web
# A signal that the program understands
tiffin kill -s HUP web`,
  flags: [signal],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const chosen = context.arguments.get(signal);
  const query = chosen === "" ? {} : { signal: chosen };
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "kill"), { query }),
  );
}
