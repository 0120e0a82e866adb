import type { Command, Context } from "../../command.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { plainTable } from "../../listing.ts";
import { compareNaturally } from "../../natural-order.ts";
import { NETWORK_LISTING, networkRow, type NetworkSummary, SHORT_ID } from "./network-row.ts";

const filter = filterFlag('Provide filter values (e.g. "driver=bridge")');
const format = text("format", FORMAT_HELP);
const noTrunc = toggle("no-trunc", "Do not truncate the output");
const quiet = toggle("quiet", "Only display network IDs", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List networks",
  examples: `# Networks that no container has
tiffin network ls --filter dangling=true`,
  flags: [filter, format, noTrunc, quiet],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = filtersQuery(given.get(filter));
  const networks = (await context.api.json("GET", "/networks", { query })) as NetworkSummary[];
  const sorted = networks.toSorted((a, b) => compareNaturally(a.Name, b.Name));
  const rows = sorted.map((network) => networkRow(network, !given.get(noTrunc)));
  const chosen = given.get(format);
  const isPlain = chosen === "" || chosen === "table";
  const { output } = context.world;
  if (isPlain && given.get(quiet)) {
    const ids = sorted.map(({ Id: id }) => (given.get(noTrunc) ? id : id.slice(0, SHORT_ID)));
    await output.out(ids.map((id) => `${id}\n`).join(""));
    return 0;
  }
  if (isPlain) {
    await output.out(plainTable(NETWORK_LISTING, rows));
    return 0;
  }
  const { formatList, structOf } = await import("../../format-list.ts");
  const structs = rows.map((row) => structOf("*formatter.networkContext", row));
  const raw = given.get(quiet) ? NETWORK_LISTING.raw.slice(0, 1) : NETWORK_LISTING.raw;
  await output.out(formatList(chosen, { ...NETWORK_LISTING, raw }, structs));
  return 0;
}
