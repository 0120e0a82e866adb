import type { Command, Context } from "../../command.ts";
import { chooseContext, DEFAULT_CONTEXT, findContext } from "../../context-store.ts";

export const command: Command = {
  usage: "CONTEXT",
  summary: "Set the current context",
  examples: `# From now on, commands go to another engine
tiffin context use lab
# Back to the one on this machine
tiffin context use default`,
  flags: [],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const { environment } = context.world;
  const [name = ""] = context.arguments.operands;
  if (name !== DEFAULT_CONTEXT) findContext(environment, name);
  chooseContext(environment, name);
  await context.print(name);
  await context.warn(`Current context is now "${name}"`);
  if (environment["TIFFIN_HOST"] && name !== DEFAULT_CONTEXT) {
    await context.warn(
      `Warning: TIFFIN_HOST environment variable overrides the active context. To use "${name}", either set the global --context flag, or unset TIFFIN_HOST environment variable.`,
    );
  }
  return 0;
}
