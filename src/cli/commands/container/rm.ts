import { isTiffinError } from "../../../base/error.ts";
import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { toggle } from "../../flag.ts";
import { forEachOperand } from "../../for-each-operand.ts";

const force = toggle("force", "Force the removal of a running container (uses SIGKILL)", {
  short: "f",
});
const link = toggle("link", "Remove the specified link", { short: "l" });
const volumes = toggle("volumes", "Remove anonymous volumes associated with the container", {
  short: "v",
});

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Remove one or more containers",
  examples: `# Also when it runs
tiffin rm -f web
# With its anonymous volumes
tiffin rm -v web`,
  flags: [force, link, volumes],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = {
    ...(given.get(force) ? { force: 1 } : {}),
    ...(given.get(link) ? { link: 1 } : {}),
    ...(given.get(volumes) ? { v: 1 } : {}),
  };
  return forEachOperand(
    context,
    (operand) => {
      const name = operand.replace(/^\/+|\/+$/g, "");
      if (name === "") throw failure("container name cannot be empty");
      return context.api.run("DELETE", apiPath("containers", name), { query });
    },
    (error) => (given.get(force) && isTiffinError(error, "not-found") ? "told" : undefined),
  );
}
