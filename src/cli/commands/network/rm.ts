import { apiPath } from "../../../api/client.ts";
import { isTiffinError } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { toggle } from "../../flag.ts";
import { forEachOperand } from "../../for-each-operand.ts";

const force = toggle("force", "Do not error if the network does not exist", { short: "f" });

export const command: Command = {
  usage: "NETWORK [NETWORK...]",
  summary: "Remove one or more networks",
  examples: `# No complaint when it is not there
tiffin network rm -f front`,
  flags: [force],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const isForced = context.arguments.get(force);
  return await forEachOperand(
    context,
    (name) => context.api.run("DELETE", apiPath("networks", name)),
    (error) => (isForced && isTiffinError(error, "not-found") ? "ignored" : undefined),
  );
}
