import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { list, text, toggle } from "../../flag.ts";

const author = text("author", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")', {
  short: "a",
});
const change = list("change", "Apply Dockerfile instruction to the created image", { short: "c" });
const message = text("message", "Commit message", { short: "m" });
const pause = toggle("pause", "Pause container during commit", { short: "p", initial: true });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
  summary: "Create a new image from a container's changes",
  examples: `# A container's changes as an image, with another command
tiffin commit --change 'CMD ["nginx", "-g", "daemon off;"]' web site:v2`,
  flags: [author, change, message, pause],
  operands: { atLeast: 1 },
  interspersed: false,
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [container = "", reference = "", ...rest] = given.operands;
  if (rest.length > 0) {
    throw failure(
      "tiffin: 'tiffin commit' requires at least 1 and at most 2 arguments\n\nRun 'tiffin commit --help' for more information",
    );
  }
  const colon = reference.lastIndexOf(":");
  const hasTag = colon > reference.lastIndexOf("/");
  const made = (await context.api.json("POST", "/commit", {
    query: {
      container,
      repo: hasTag ? reference.slice(0, colon) : reference,
      tag: hasTag ? reference.slice(colon + 1) : "",
      comment: given.get(message),
      author: given.get(author),
      pause: given.get(pause),
      changes: given.get(change),
    },
  })) as { Id: string };
  await context.print(made.Id);
  return 0;
}
