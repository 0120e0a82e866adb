import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { toggle } from "../../flag.ts";

const force = toggle("force", "Force the container to disconnect from a network", { short: "f" });

export const command: Command = {
  usage: "[OPTIONS] NETWORK CONTAINER",
  summary: "Disconnect a container from a network",
  examples: `# Also when the container is gone
tiffin network disconnect -f back web`,
  flags: [force],
  operands: { exactly: 2 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [network = "", container = ""] = given.operands;
  const body = { Container: container, Force: given.get(force) };
  await context.api.run("POST", apiPath("networks", network, "disconnect"), { body });
  return 0;
}
