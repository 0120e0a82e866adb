import type { Command, Context } from "../../command.ts";
import { text } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });

const platform = text("platform", "Inspect a specific platform of a multi-platform image");

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Display detailed information on one or more images",
  examples: `# What it runs
tiffin image inspect -f '{{.Config.Entrypoint}} {{.Config.Cmd}}' nginx
# One of the platforms that are here
tiffin image inspect --platform linux/arm64 nginx`,
  flags: [format, platform],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  return inspectObjects(context, {
    type: "image",
    format: context.arguments.get(format),
    size: false,
    platform: context.arguments.get(platform),
  });
}
