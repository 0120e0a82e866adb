import type { Command, Context } from "../../command.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { plainTable } from "../../listing.ts";
import { compareNaturally } from "../../natural-order.ts";
import { VOLUME_LISTING, volumeRow, type VolumeSummary } from "./volume-row.ts";

const filter = filterFlag('Provide filter values (e.g. "dangling=true")');
const format = text("format", FORMAT_HELP);
const quiet = toggle("quiet", "Only display volume names", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List volumes",
  examples: `# Volumes that no container has
tiffin volume ls --filter dangling=true`,
  flags: [filter, format, quiet],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = filtersQuery(given.get(filter));
  const answer = await context.api.json("GET", "/volumes", { query });
  const { Volumes: volumes } = answer as { Volumes: VolumeSummary[] | null };
  const sorted = (volumes ?? []).toSorted((a, b) => compareNaturally(a.Name, b.Name));
  const chosen = given.get(format);
  const isPlain = chosen === "" || chosen === "table";
  const { output } = context.world;
  if (isPlain && given.get(quiet)) {
    await output.out(sorted.map(({ Name: name }) => `${name}\n`).join(""));
    return 0;
  }
  const rows = sorted.map(volumeRow);
  if (isPlain) {
    await output.out(plainTable(VOLUME_LISTING, rows));
    return 0;
  }
  const { formatList, structOf } = await import("../../format-list.ts");
  const structs = rows.map((row) => structOf("*formatter.volumeContext", row));
  const raw = given.get(quiet) ? VOLUME_LISTING.raw.slice(0, 1) : VOLUME_LISTING.raw;
  await output.out(formatList(chosen, { ...VOLUME_LISTING, raw }, structs));
  return 0;
}
