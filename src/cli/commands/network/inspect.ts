import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });
const verbose = toggle("verbose", "Verbose output for diagnostics", { short: "v" });

export const command: Command = {
  usage: "[OPTIONS] NETWORK [NETWORK...]",
  summary: "Display detailed information on one or more networks",
  examples: `# Its subnets
tiffin network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' front`,
  flags: [format, verbose],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return inspectObjects(context, {
    type: "network",
    format: context.arguments.get(format),
    size: false,
  });
}
