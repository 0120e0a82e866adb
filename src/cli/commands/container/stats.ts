import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { jsonLines } from "../../json-lines.ts";
import { type Listing, plainTable, type Row } from "../../listing.ts";
import { type ContainerStats, PRESSURE_LISTING, STATS_LISTING, statsRow } from "./stats-row.ts";

const all = toggle("all", "Show all containers (default shows just running)", { short: "a" });
const format = text("format", FORMAT_HELP);
const noStream = toggle("no-stream", "Disable streaming stats and only pull the first result");
const noTrunc = toggle("no-trunc", "Do not truncate output");
const pressure = toggle(
  "pressure",
  "Show what containers had to wait for: the part of the last 10 s in which some / all of their processes waited, and the time in all",
);

export const command: Command = {
  usage: "[OPTIONS] [CONTAINER...]",
  summary: "Display a live stream of container(s) resource usage statistics",
  examples: `# Live; once, in a form of one's own
tiffin stats
tiffin stats --no-stream --format '{{.Name}} {{.MemUsage}}'
# What containers have to wait for
tiffin stats --pressure`,
  flags: [all, format, noStream, noTrunc, pressure],
  operands: { atLeast: 0 },
  inEngine: (given) => given.get(noStream),
  run,
};

// Control sequences of a terminal (ECMA-48): each frame is written over the one before.
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const names = [...new Set(given.operands)];
  const isLive = !given.get(noStream);
  const show = await printer(given.get(format), given.get(pressure));
  const response = await context.api.request("GET", "/tiffin/stats", {
    query: {
      container: names,
      ...(given.get(all) ? { all: 1 } : {}),
      ...(isLive ? { stream: 1 } : {}),
    },
  });
  const asked = new Map<string, string>();
  const { output } = context.world;
  for await (const line of jsonLines(response.body)) {
    const { containers } = line as { containers: ContainerStats[] };
    // The first answer has one for each name, in order; later ones lack what was removed.
    if (asked.size === 0) names.forEach((name, at) => asked.set(containers[at]?.id ?? "", name));
    const rows = containers.map((stats) =>
      statsRow(stats, asked.get(stats.id) ?? stats.id.slice(0, 12), !given.get(noTrunc)),
    );
    const shown = show(rows);
    await output.out(isLive ? frame(shown) : shown);
  }
  return 0;
}

function frame(shown: string): string {
  const lines = shown.split("\n").map((line) => `${line}${CLEAR_LINE}`);
  return `${HOME}${lines.join("\n")}${CLEAR_BELOW}`;
}

async function printer(
  source: string,
  withPressure: boolean,
): Promise<(rows: readonly Row[]) => string> {
  const listing: Listing = withPressure ? PRESSURE_LISTING : STATS_LISTING;
  if (source === "" || source === "table") return (rows) => plainTable(listing, rows);
  const { formatList, structOf } = await import("../../format-list.ts");
  return (rows) =>
    formatList(
      source,
      listing,
      rows.map((row) => structOf("*container.statsContext", row)),
    );
}
