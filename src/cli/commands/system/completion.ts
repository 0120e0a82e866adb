import type { Command, Context } from "../../command.ts";
import { SHELLS } from "../../completion/scripts.ts";
import { failure } from "../../failure.ts";

export const command: Command = {
  usage: "bash|zsh|fish",
  summary: "Print the completion script of a shell",
  examples: `# For this shell alone
eval "$(tiffin completion bash)"
# For all of them, from the next on
tiffin completion bash >/etc/bash_completion.d/tiffin
tiffin completion zsh >"\${fpath[1]}/_tiffin"
tiffin completion fish >~/.config/fish/completions/tiffin.fish`,
  flags: [],
  operands: { exactly: 1 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const [shell = ""] = context.arguments.operands;
  const script = Object.hasOwn(SHELLS, shell) ? SHELLS[shell] : undefined;
  if (script === undefined) {
    const known = Object.keys(SHELLS).join(", ");
    throw failure(`tiffin: Cannot complete for ${JSON.stringify(shell)}: it is none of ${known}`);
  }
  await context.world.output.out(script);
  return 0;
}
