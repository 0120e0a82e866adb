import {
  familiarName,
  fullReference,
  parseReference,
  withDefaultTag,
} from "../../../base/reference.ts";
import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { platformQuery } from "../../platform-query.ts";
import { showProgress } from "../../progress.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";
import { contentTrustFlag, quiet } from "./transfer-flags.ts";

const allTags = toggle("all-tags", "Push all tags of an image to the repository", { short: "a" });
const contentTrust = contentTrustFlag("Skip image signing");
const platform = text("platform", "Push a platform-specific manifest as a single-platform image");

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  summary: "Upload an image to a registry",
  examples: `# To the registry that the name says
tiffin push registry.example:5000/team/app:3`,
  flags: [allTags, contentTrust, platform, quiet],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name = ""] = given.operands;
  const asked = parseReference(name);
  const isAll = given.get(allTags);
  if (isAll && (asked.tag !== undefined || asked.digest !== undefined)) {
    throw failure("tag can't be used with --all-tags/-a");
  }
  const isQuiet = given.get(quiet);
  const reference = isAll ? asked : withDefaultTag(asked);
  if (reference !== asked && !isQuiet) await context.print("Using default tag: latest");
  // An empty field is what docker's client sends for nobody.
  const headers = {
    "X-Registry-Auth": "",
    ...(await registryAuthHeader(context.world, asked.domain)),
  };
  const path = apiPath("images", familiarName(reference), "push");
  const query = {
    ...(reference.tag === undefined ? {} : { tag: reference.tag }),
    ...platformQuery(given.get(platform)),
  };
  const response = await context.api.request("POST", path, { query, headers });
  await showProgress(context, response.body, { quiet: isQuiet });
  if (isQuiet) await context.print(fullReference(reference));
  return 0;
}
