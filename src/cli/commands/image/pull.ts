import {
  fullName,
  fullReference,
  parseReference,
  type Reference,
  withDefaultTag,
} from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { showProgress } from "../../progress.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";
import { contentTrustFlag, quiet } from "./transfer-flags.ts";

const allTags = toggle("all-tags", "Download all tagged images in the repository", { short: "a" });
const contentTrust = contentTrustFlag("Skip image verification");
const platform = text("platform", "Set platform if server is multi-platform capable");

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG|@DIGEST]",
  summary: "Download an image from a registry",
  examples: `# By tag, and for another machine
tiffin pull debian:12
tiffin pull --platform linux/arm64 registry.example:5000/team/app`,
  flags: [allTags, contentTrust, platform, quiet],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name = ""] = given.operands;
  const reference = parseReference(name);
  const isMarked = reference.tag !== undefined || reference.digest !== undefined;
  if (given.get(allTags) && isMarked) throw failure("tag can't be used with --all-tags/-a");
  const isQuiet = given.get(quiet);
  if (!isMarked && !given.get(allTags) && !isQuiet)
    await context.print("Using default tag: latest");
  const pulled = given.get(allTags) ? reference : withDefaultTag(reference);
  await pull(context, pulled, { platform: given.get(platform), quiet: isQuiet });
  await context.print(fullReference(pulled));
  return 0;
}

/** Has the engine pull an image, or all of a repository when the reference is a name alone, and shows how far it is. @throws the engine's error */
export async function pull(
  context: Context,
  reference: Reference,
  options: {
    readonly platform: string;
    readonly quiet: boolean;
    /** What is a side matter goes to standard error. */
    readonly toError?: boolean;
  },
): Promise<void> {
  const query = {
    fromImage: fullName(reference),
    tag: reference.digest ?? reference.tag,
    ...(options.platform === "" ? {} : { platform: options.platform }),
  };
  const headers = await registryAuthHeader(context.world, reference.domain);
  const response = await context.api.request("POST", "/images/create", { query, headers });
  await showProgress(context, response.body, options);
}
