import type { Command, Context } from "../../command.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Display detailed information on one or more images",
  examples: `# What it runs
tiffin image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}}' nginx`,
  flags: [format],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return inspectObjects(context, {
    type: "image",
    format: context.arguments.get(format),
    size: false,
  });
}
