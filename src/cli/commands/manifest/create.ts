import { fullReference } from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { toggle } from "../../flag.ts";
import { manifestReference, readList, readListed, saveListed } from "../../manifest-store.ts";
import { fetchDocument, insecure } from "./registry-document.ts";

const amend = toggle("amend", "Amend an existing manifest list", { short: "a" });

export const command: Command = {
  usage: "MANIFEST_LIST MANIFEST [MANIFEST...]",
  summary: "Create a local manifest list for annotating and pushing to a registry",
  examples: `# One name for two images that are in the registry
tiffin manifest create team/app:3 team/app:3-amd64 team/app:3-arm64
# All that a list has, and one more
tiffin manifest create team/app:4 team/app:3 team/app:3-riscv64`,
  flags: [amend, insecure],
  operands: { atLeast: 2 },
  run,
};

/** A source that is a list itself gives all of its manifests: so lists in a registry are edited. */
async function run(context: Context): Promise<number> {
  const { world } = context;
  const [name = "", ...sources] = context.arguments.operands;
  const list = manifestReference(name);
  if (readList(world, list) !== undefined && !context.arguments.get(amend)) {
    throw failure("refusing to amend an existing manifest list with no --amend flag");
  }
  const wanted = sources.map(manifestReference);
  // All are there before the first one is written down.
  const found = [];
  for (const reference of wanted) {
    const known = readListed(world, list, reference);
    const { Manifests: manifests } =
      known === undefined
        ? await fetchDocument(context, reference, { manifests: true })
        : { Manifests: [known] };
    found.push(...manifests);
  }
  for (const manifest of found) saveListed(world, list, manifest);
  await context.print(`Created manifest list ${fullReference(list)}`);
  return 0;
}
