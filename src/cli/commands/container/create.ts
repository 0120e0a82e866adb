import type { Command, Context } from "../../command.ts";
import { CREATION_FLAGS, createContainer, mayRunInEngine, readWanted } from "./creation.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create a new container",
  examples: `# Made now, started later; --help of run has more about the options
tiffin create --name web -p 8080:80 nginx
tiffin start web`,
  flags: CREATION_FLAGS,
  operands: { atLeast: 1 },
  interspersed: false,
  inEngine: mayRunInEngine,
  run,
};

async function run(context: Context): Promise<number> {
  await context.print(await createContainer(context, readWanted(context, "create")));
  return 0;
}
