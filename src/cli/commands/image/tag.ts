import { messageOf } from "../../../base/error.ts";
import {
  DEFAULT_TAG,
  familiarName,
  parseReference,
  type Reference,
} from "../../../base/reference.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { imagePath } from "../../image-path.ts";

export const command: Command = {
  usage: "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
  summary: "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
  examples: `# A second name for the same image
tiffin tag nginx:latest registry.example.org/nginx:v2`,
  flags: [],
  operands: { exactly: 2 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const [source = "", target = ""] = context.arguments.operands;
  const reference = parseTarget(target);
  const query = { repo: familiarName(reference), tag: reference.tag ?? DEFAULT_TAG };
  await context.api.run("POST", imagePath(source, "tag"), { query });
  return 0;
}

function parseTarget(target: string): Reference {
  let reference: Reference;
  try {
    reference = parseReference(target);
  } catch (error) {
    throw failure(
      `Error parsing reference: ${JSON.stringify(target)} is not a valid repository/tag: ${messageOf(error)}`,
    );
  }
  if (reference.digest !== undefined)
    throw failure("refusing to create a tag with a digest reference");
  return reference;
}
