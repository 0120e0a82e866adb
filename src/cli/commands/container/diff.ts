import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";

export const command: Command = {
  usage: "CONTAINER",
  summary: "Inspect changes to files or directories on a container's filesystem",
  examples: `# What changed since the image: A added, C changed, D deleted
tiffin diff web`,
  flags: [],
  operands: { exactly: 1 },
  inEngine: () => true,
  run,
};

interface Change {
  readonly Path: string;
  readonly Kind: number;
}

const KINDS = ["C", "A", "D"];

async function run(context: Context): Promise<number> {
  const [name = ""] = context.arguments.operands;
  const path = apiPath("containers", name, "changes");
  const changes = ((await context.api.json("GET", path)) ?? []) as Change[];
  const lines = changes.map(({ Kind, Path }) => `${KINDS[Kind] ?? "?"} ${Path}\n`);
  await context.world.output.out(lines.join(""));
  return 0;
}
