import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { INSPECT_FORMAT_HELP } from "../../format-help.ts";
import { inspectObjects } from "../../inspection.ts";
import { AS_FLAG, isRecreated, showRecreations } from "../../recreate/show.ts";

const format = text("format", INSPECT_FORMAT_HELP, { short: "f" });
const size = toggle("size", "Display total file sizes if the type is container", { short: "s" });
const type = text("type", "Only inspect objects of the given type");

const TYPES = ["container", "image", "network", "volume"] as const;

export const command: Command = {
  usage: "[OPTIONS] NAME|ID [NAME|ID...]",
  summary: "Return low-level information on Tiffin objects",
  examples: `# A container, an image or a volume, whichever has the name
tiffin inspect web
# The image of that name
tiffin inspect --type image web`,
  flags: [AS_FLAG, format, size, type],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const chosen = given.get(type);
  const known = TYPES.find((name) => name === chosen);
  const choices = `must be one of "${TYPES.join('", "')}"`;
  if (chosen === "" && given.has(type)) throw failure(`type is empty: ${choices}`);
  if (chosen !== "" && known === undefined) {
    throw failure(`unknown type: ${JSON.stringify(chosen)}: ${choices}`);
  }
  if (isRecreated(given)) {
    if (chosen !== "" && chosen !== "container") throw failure("--as is for containers alone");
    return showRecreations(context, [format, size]);
  }
  return inspectObjects(context, {
    type: known ?? "",
    format: given.get(format),
    size: given.get(size),
  });
}
