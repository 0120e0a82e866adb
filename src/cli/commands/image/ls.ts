import type { Command, Context } from "../../command.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { idLines, plainTable } from "../../listing.ts";
import { IMAGE_LISTING, imageRows, type ImageSummary } from "./image-row.ts";

const all = toggle("all", "Show all images (default hides intermediate images)", { short: "a" });
const digests = toggle("digests", "Show digests");
const filter = filterFlag();
const format = text("format", FORMAT_HELP);
const noTrunc = toggle("no-trunc", "Don't truncate output");
const quiet = toggle("quiet", "Only show image IDs", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  summary: "List images",
  examples: `# All tags of one repository
tiffin images nginx
# Those that have no name any more
tiffin images --filter dangling=true`,
  flags: [all, digests, filter, format, noTrunc, quiet],
  operands: { atMost: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name] = given.operands;
  const filters = [...given.get(filter), ...(name === undefined ? [] : [`reference=${name}`])];
  const query = { ...(given.get(all) ? { all: 1 } : {}), ...filtersQuery(filters) };
  const images = (await context.api.json("GET", "/images/json", { query })) as ImageSummary[];
  const chosen = given.get(format);
  const options = {
    truncate: !given.get(noTrunc),
    digests: given.get(digests),
    needDigest: given.get(digests) || chosen.includes("{{.Digest}}"),
  };
  const rows = images.flatMap((image) => imageRows(image, options));
  const { output } = context.world;
  const isPlain = chosen === "" || chosen === "table";
  if (isPlain && given.get(quiet)) {
    await output.out(idLines(rows));
  } else if (isPlain) {
    const columns = options.digests
      ? ["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"]
      : IMAGE_LISTING.columns;
    await output.out(plainTable({ ...IMAGE_LISTING, columns }, rows));
  } else {
    const addsDigest =
      options.digests && chosen.startsWith("table") && !chosen.includes("{{.Digest}}");
    const source = addsDigest ? `${chosen}\t{{.Digest}}` : chosen;
    const { formatList, structOf } = await import("../../format-list.ts");
    const structs = rows.map((row) => structOf("*formatter.imageContext", row));
    await output.out(formatList(source, IMAGE_LISTING, structs));
  }
  return 0;
}
