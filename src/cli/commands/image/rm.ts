import { isTiffinError } from "../../../base/error.ts";
import type { Command, Context } from "../../command.ts";
import { joined } from "../../failure.ts";
import { toggle } from "../../flag.ts";
import { imagePath } from "../../image-path.ts";

const force = toggle("force", "Force removal of the image", { short: "f" });
const noPrune = toggle("no-prune", "Do not delete untagged parents");

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  summary: "Remove one or more images",
  examples: `# A name; the image goes with its last one
tiffin rmi nginx:old`,
  flags: [force, noPrune],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

interface Removed {
  readonly Deleted?: string;
  readonly Untagged?: string;
}

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = {
    ...(given.get(force) ? { force: 1 } : {}),
    ...(given.get(noPrune) ? { noprune: 1 } : {}),
  };
  const errors: unknown[] = [];
  for (const name of given.operands) {
    try {
      const removed = await context.api.json("DELETE", imagePath(name), { query });
      for (const { Deleted: deleted, Untagged: untagged } of removed as Removed[]) {
        await context.print(deleted ? `Deleted: ${deleted}` : `Untagged: ${untagged ?? ""}`);
      }
    } catch (error) {
      errors.push(error);
    }
  }
  const all = joined(errors);
  if (all === undefined) return 0;
  // With --force an image that is not there is as good as removed.
  if (!given.get(force) || errors.some((error) => !isTiffinError(error, "not-found"))) throw all;
  await context.warn(all.message);
  return 0;
}
