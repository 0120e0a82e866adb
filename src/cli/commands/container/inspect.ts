import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";
import { AS_FLAG, isRecreated, showRecreations } from "../../recreate/show.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });
const size = toggle("size", "Display total file sizes", { short: "s" });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Display detailed information on one or more containers",
  examples: `# One fact
tiffin inspect -f '{{.State.Pid}}' web
# All mounts, a line each
tiffin container inspect -f '{{range .Mounts}}{{.Source}} {{.Destination}}{{"\\n"}}{{end}}' web`,
  flags: [AS_FLAG, format, size],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const given = context.arguments;
  if (isRecreated(given)) return showRecreations(context, [format, size]);
  return inspectObjects(context, {
    type: "container",
    format: given.get(format),
    size: given.get(size),
  });
}
