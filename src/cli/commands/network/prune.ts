import type { Command, Context } from "../../command.ts";
import { confirm } from "../../confirm.ts";
import { filtersQuery } from "../../filter.ts";
import { toggle } from "../../flag.ts";
import { force, listed, pruneFilter } from "../../prune.ts";

const dryRun = toggle("dry-run", "Show what would be removed, and remove nothing");
const filter = pruneFilter("until=<timestamp>");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove all unused networks",
  examples: `# What would go
tiffin network prune --dry-run`,
  flags: [dryRun, filter, force],
  operands: { exactly: 0 },
  inEngine: (given) => given.get(force) || given.get(dryRun),
  run,
};

const WARNING =
  "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?";

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = filtersQuery(given.get(filter));
  const isDry = given.get(dryRun);
  // To say no is no failure, as in docker.
  if (!isDry && !given.get(force) && !(await confirm(context, WARNING))) return 0;
  const answer = isDry
    ? await context.api.json("GET", "/tiffin/networks/prune", { query })
    : await context.api.json("POST", "/networks/prune", { query });
  const { NetworksDeleted: names } = answer as { NetworksDeleted: string[] | null };
  const text = listed(isDry ? "Would delete networks:" : "Deleted Networks:", names ?? []);
  if (text !== "") await context.print(text);
  return 0;
}
