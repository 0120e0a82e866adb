import type { Command, Context } from "../../command.ts";

export const command: Command = {
  usage: "",
  summary: "Print the name of the current context",
  examples: `# In a shell's prompt
PS1='$(tiffin context show) \\$ '`,
  flags: [],
  operands: { exactly: 0 },
  run,
};

async function run(context: Context): Promise<number> {
  await context.print(context.places.context);
  return 0;
}
