import { fullReference } from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { toggle } from "../../flag.ts";
import { manifestReference, mustReadList, removeList } from "../../manifest-store.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";
import { insecure } from "./registry-document.ts";

const purge = toggle("purge", "Remove the local manifest list after push", { short: "p" });

export const command: Command = {
  usage: "[OPTIONS] MANIFEST_LIST",
  summary: "Push a manifest list to a repository",
  examples: `# And forget it here
tiffin manifest push --purge team/app:3`,
  flags: [insecure, purge],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const { world } = context;
  const [name = ""] = context.arguments.operands;
  const reference = manifestReference(name);
  const manifests = mustReadList(world, reference);
  const headers = await registryAuthHeader(world, reference.domain);
  const body = { Reference: fullReference(reference), Manifests: manifests };
  const answer = await context.api.json("POST", "/tiffin/registry/index", { body, headers });
  const { Digest: digest, Pushed: pushed } = answer as { Digest: string; Pushed: string[] };
  for (const one of pushed) {
    await context.print(`Pushed ref ${one} with digest: ${one.split("@")[1] ?? ""}`);
  }
  await context.print(digest);
  if (context.arguments.get(purge)) removeList(world, reference);
  return 0;
}
