import { humanSize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { confirm } from "../../confirm.ts";
import { failure } from "../../failure.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { toggle } from "../../flag.ts";

const all = toggle("all", "Remove all unused volumes, not just anonymous ones", { short: "a" });
const dryRun = toggle("dry-run", "Show what would be removed, and remove nothing");
const filter = filterFlag('Provide filter values (e.g. "label=<label>")', {});
const force = toggle("force", "Do not prompt for confirmation", { short: "f" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove unused local volumes",
  examples: `# What would go
tiffin volume prune --all --dry-run`,
  flags: [all, dryRun, filter, force],
  operands: { exactly: 0 },
  inEngine: (given) => given.get(force) || given.get(dryRun),
  run,
};

interface PruneReport {
  readonly VolumesDeleted: readonly string[] | null;
  readonly SpaceReclaimed: number;
}

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const filters = given.get(filter);
  const isAll = given.get(all);
  if (isAll && filters.some((words) => words.startsWith("all="))) {
    throw failure("conflicting options: cannot specify both --all and --filter all=1");
  }
  const query = filtersQuery(isAll ? [...filters, "all=true"] : filters);
  if (given.get(dryRun)) {
    const report = await context.api.json("GET", "/tiffin/volumes/prune", { query });
    return printReport(context, report as PruneReport, {
      heading: "Would delete volumes:",
      total: "Total reclaimable space:",
    });
  }
  // To say no is no failure, as in docker.
  if (!given.get(force) && !(await confirm(context, warning(isAll)))) return 0;
  const report = await context.api.json("POST", "/volumes/prune", { query });
  return printReport(context, report as PruneReport, {
    heading: "Deleted Volumes:",
    total: "Total reclaimed space:",
  });
}

function warning(isAll: boolean): string {
  const which = isAll ? "all" : "anonymous";
  return `WARNING! This will remove ${which} local volumes not used by at least one container.\nAre you sure you want to continue?`;
}

async function printReport(
  context: Context,
  report: PruneReport,
  words: { heading: string; total: string },
): Promise<number> {
  const names = report.VolumesDeleted ?? [];
  if (names.length > 0) await context.print(`${words.heading}\n${names.join("\n")}\n`);
  await context.print(`${words.total} ${humanSize(report.SpaceReclaimed)}`);
  return 0;
}
