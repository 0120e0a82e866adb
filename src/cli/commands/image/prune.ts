import type { Command, Context } from "../../command.ts";
import { confirm } from "../../confirm.ts";
import { toggle } from "../../flag.ts";
import {
  imageCandidates,
  dryRun,
  force,
  pruneFilter,
  removeImages,
  showCandidates,
  showRemoved,
} from "../../prune.ts";

const all = toggle("all", "Remove all unused images, not just dangling ones", { short: "a" });
const filter = pruneFilter("until=<timestamp>");

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Remove unused images",
  examples: `# What would go: images without a name, and with -a all that no container has
tiffin image prune --dry-run
tiffin image prune -a --dry-run`,
  flags: [all, dryRun, filter, force],
  operands: { exactly: 0 },
  inEngine: (given) => given.get(force) || given.get(dryRun),
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const filters = [...given.get(filter), `dangling=${!given.get(all)}`];
  if (given.get(dryRun)) {
    await showCandidates(context, [await imageCandidates(context, filters)]);
    return 0;
  }
  const what = given.get(all)
    ? "images without at least one container associated to them"
    : "dangling images";
  const question = `WARNING! This will remove all ${what}.\nAre you sure you want to continue?`;
  if (!given.get(force) && !(await confirm(context, question))) return 0;
  await showRemoved(context, [await removeImages(context, filters)]);
  return 0;
}
