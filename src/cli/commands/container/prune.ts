import type { Command, Context } from "../../command.ts";
import { confirm } from "../../confirm.ts";
import {
  containerCandidates,
  dryRun,
  force,
  pruneFilter,
  removeContainers,
  showCandidates,
  showRemoved,
} from "../../prune.ts";

const filter = pruneFilter("until=<timestamp>");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove all stopped containers",
  examples: `# What would go
tiffin container prune --dry-run
# Those that ended more than a day ago, without asking
tiffin container prune -f --filter until=24h`,
  flags: [dryRun, filter, force],
  operands: { exactly: 0 },
  inEngine: (given) => given.get(force) || given.get(dryRun),
  run,
};

const QUESTION =
  "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const filters = given.get(filter);
  if (given.get(dryRun)) {
    await showCandidates(context, [await containerCandidates(context, filters)]);
    return 0;
  }
  if (!given.get(force) && !(await confirm(context, QUESTION))) return 0;
  await showRemoved(context, [await removeContainers(context, filters)]);
  return 0;
}
