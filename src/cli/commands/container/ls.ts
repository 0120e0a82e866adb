import { messageOf } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { integer, text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import type { Listing } from "../../listing.ts";
import { idLines, plainTable } from "../../listing.ts";
import {
  CONTAINER_LISTING,
  containerRow,
  type ContainerSummary,
  EMPTY_CONTAINER,
} from "./container-row.ts";

const all = toggle("all", "Show all containers (default shows just running)", { short: "a" });
const filter = filterFlag();
const format = text("format", FORMAT_HELP);
const last = integer("last", "Show n last created containers (includes all states)", {
  short: "n",
  initial: -1,
});
const latest = toggle("latest", "Show the latest created container (includes all states)", {
  short: "l",
});
const noTrunc = toggle("no-trunc", "Don't truncate output");
const quiet = toggle("quiet", "Only display container IDs", { short: "q" });
const size = toggle("size", "Display total file sizes", { short: "s" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "List containers",
  examples: `# Those that run; all of them; their names alone
tiffin ps
tiffin ps -a
tiffin ps --format '{{.Names}}'
# Those that ended with a failure
tiffin ps -a --filter status=exited --filter exited=1`,
  flags: [all, filter, format, last, latest, noTrunc, quiet, size],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

const TYPE = "*formatter.ContainerContext";

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const chosen = given.get(format);
  const isQuiet = given.get(quiet);
  if (chosen !== "" && isQuiet) {
    await context.warn(
      "WARNING: Ignoring custom format, because both --format and --quiet are set.",
    );
  }
  const usesSize = chosen === "" ? false : await checkFormat(chosen);
  const wantsSize = given.get(size) || (usesSize && !isQuiet && !given.has(size));
  const limit = given.get(latest) && given.get(last) === -1 ? 1 : given.get(last);
  const query = {
    ...(given.get(all) ? { all: 1 } : {}),
    ...(limit > 0 ? { limit } : {}),
    ...(wantsSize ? { size: 1 } : {}),
    ...filtersQuery(given.get(filter)),
  };
  const containers = (await context.api.json("GET", "/containers/json", {
    query,
  })) as ContainerSummary[];
  const rows = containers.map((container) => containerRow(container, !given.get(noTrunc)));
  const { output } = context.world;
  if (isQuiet) await output.out(idLines(rows));
  else if (chosen === "" || chosen === "table")
    await output.out(plainTable(listing(wantsSize), rows));
  else {
    const { formatList, structOf } = await import("../../format-list.ts");
    const structs = rows.map((row) => structOf(TYPE, row));
    await output.out(formatList(chosen, listing(wantsSize), structs));
  }
  return 0;
}

function listing(wantsSize: boolean): Listing {
  if (!wantsSize) return CONTAINER_LISTING;
  const columns = [...CONTAINER_LISTING.columns, "Size"];
  return { ...CONTAINER_LISTING, columns, raw: [...CONTAINER_LISTING.raw, ["size", "Size"]] };
}

/** Runs the format on nothing before anything is asked of the engine; true when it shows the size. */
async function checkFormat(source: string): Promise<boolean> {
  const { Template } = await import("../../go-template/template.ts");
  const { structOf } = await import("../../format-list.ts");
  let usesSize = false;
  const row = containerRow(EMPTY_CONTAINER, false);
  const watched = {
    ...row,
    Size: (): string => {
      usesSize = true;
      return "";
    },
  };
  let stage = "parse";
  try {
    const template = new Template(source);
    stage = "execute";
    template.run(structOf(TYPE, watched));
  } catch (error) {
    throw failure(`failed to ${stage} template: ${messageOf(error)}`);
  }
  return usesSize;
}
