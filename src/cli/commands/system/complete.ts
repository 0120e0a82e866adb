import type { Command, Context } from "../../command.ts";
import { complete } from "../../completion/complete.ts";
import { engineNames } from "../../completion/names.ts";
import { DEFAULT_CONTEXT, listContexts } from "../../context-store.ts";
import { choosePlaces, GLOBAL_FLAGS } from "../../global-flags.ts";
import { parse } from "../../grammar.ts";
import { parseHost } from "../../host.ts";

/** What the completion scripts ask (completion/scripts.ts). Hidden, and quiet: nothing it meets is an error. */
export const command: Command = {
  usage: "-- WORD...",
  summary: "Tell what the last word may become",
  flags: [],
  operands: { atLeast: 0 },
  interspersed: false,
  run,
};

async function run(context: Context): Promise<number> {
  const words = context.arguments.operands;
  const { environment, output } = context.world;
  const contexts = () =>
    [{ name: DEFAULT_CONTEXT, description: "" }, ...listContexts(environment)].map(
      ({ name, description }) => ({ value: name, description }),
    );
  const names = engineNames(parseHost(hostOf(words, context)), contexts);
  const { candidates, files } = await complete(words, names);
  const lines = candidates.map(({ value, description }) => `${value}\t${description}`);
  await output.out(`${[...lines, files ? ":files" : ":none"].join("\n")}\n`);
  return 0;
}

/** The engine that the line being typed is for: `tiffin -H … rm <TAB>`. */
function hostOf(words: readonly string[], { places, world }: Context): string {
  try {
    const given = parse(words.slice(0, -1), GLOBAL_FLAGS, { interspersed: false });
    if (given.kind === "arguments") return choosePlaces(given.arguments, world.environment).host;
  } catch {
    // Not a whole line yet.
  }
  return places.host;
}
