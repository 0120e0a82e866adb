import type { Context } from "../command.ts";
import { describe, failure } from "../failure.ts";
import { type Flag, text } from "../flag.ts";
import type { Arguments } from "../grammar.ts";
import { recreate, recreationBody, type Recreation } from "./recreate.ts";
import { isProfile } from "./run-words.ts";
import { shellQuote } from "./shell-quote.ts";

/** `--as` of both inspects. */
export const AS_FLAG: Flag<string> = text(
  "as",
  'How a container can be made again: its command line ("run"), or the body of an API call ("json")',
);

export function isRecreated(given: Arguments): boolean {
  return given.has(AS_FLAG);
}

/**
 * Prints how each container can be made again: a line for a shell, or the body of POST /containers/create. Those that fail
 * come last, as errors.
 * @param others flags that say another thing
 */
export async function showRecreations(context: Context, others: readonly Flag[]): Promise<number> {
  const given = context.arguments;
  const as = given.get(AS_FLAG);
  if (as !== "run" && as !== "json") {
    throw failure(`tiffin: unknown form ${JSON.stringify(as)}: --as takes "run" or "json"`);
  }
  const conflict = others.find((flag) => given.has(flag));
  if (conflict !== undefined) {
    throw failure(`tiffin: conflicting options: cannot specify both --as and --${conflict.name}`);
  }
  const errors: string[] = [];
  for (const name of given.operands) {
    try {
      const recreation = await recreate(context, name);
      await context.print(
        as === "json"
          ? JSON.stringify(recreationBody(recreation), undefined, 4)
          : await runLine(context, recreation),
      );
    } catch (error) {
      errors.push(describe(error));
    }
  }
  if (errors.length > 0) throw failure(errors.join("\n"));
  return 0;
}

async function runLine(context: Context, { container, words }: Recreation): Promise<string> {
  const security = (container.HostConfig["SecurityOpt"] ?? []) as readonly string[];
  if (security.some(isProfile)) {
    await context.warn(
      "WARNING: its system call filter was a file, which the line cannot say: see --as json",
    );
  }
  const { Name: name } = container;
  const named = [`--name=${name.replace(/^\//, "")}`];
  return shellQuote(["tiffin", "run", ...named, ...words.options, words.image, ...words.command]);
}
