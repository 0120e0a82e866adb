import type { Command, Context } from "../../command.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

export const command: Command = {
  usage: "[OPTIONS] VOLUME [VOLUME...]",
  summary: "Display detailed information on one or more volumes",
  examples: `# Where its files are
tiffin volume inspect -f '{{.Mountpoint}}' site`,
  flags: [format],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return inspectObjects(context, {
    type: "volume",
    format: context.arguments.get(format),
    size: false,
  });
}
