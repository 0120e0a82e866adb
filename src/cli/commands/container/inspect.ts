import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });
const size = toggle("size", "Display total file sizes", { short: "s" });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Display detailed information on one or more containers",
  flags: [format, size],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const given = context.arguments;
  return inspectObjects(context, {
    type: "container",
    format: given.get(format),
    size: given.get(size),
  });
}
