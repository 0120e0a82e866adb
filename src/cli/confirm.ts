import type { Context } from "./command.ts";
import { standardInput } from "./input.ts";

/** Asks the user on standard output; yes is `y` or `Y` alone on a line, as in docker. The end of the input is no. */
export async function confirm(context: Context, question: string): Promise<boolean> {
  await context.world.output.out(`${question} [y/N] `);
  let line = "";
  for await (const chunk of standardInput()) {
    line += Buffer.from(chunk).toString();
    if (line.includes("\n")) break;
  }
  return (line.split("\n", 1)[0] ?? "").trim().toLowerCase() === "y";
}
