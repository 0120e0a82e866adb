import { apiPath } from "../../../api/client.ts";
import { isTiffinError } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { joined } from "../../failure.ts";
import { toggle } from "../../flag.ts";

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
  const given = context.arguments;
  const errors: unknown[] = [];
  for (const name of given.operands) {
    try {
      await context.api.run("DELETE", apiPath("networks", name));
      await context.print(name);
    } catch (error) {
      if (!given.get(force) || !isTiffinError(error, "not-found")) errors.push(error);
    }
  }
  const all = joined(errors);
  if (all !== undefined) throw all;
  return 0;
}
