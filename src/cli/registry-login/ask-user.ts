import type { Context } from "../command.ts";
import { failure } from "../failure.ts";
import { standardInput } from "../input.ts";
import { makeRaw } from "../terminal.ts";

const INTERRUPT = "\u0003";
const ERASE = ["\b", "\u007f"];

/** Asks for one line on the terminal; `hidden`: what is typed is not shown. */
export async function askUser(
  context: Context,
  question: string,
  { hidden = false }: { readonly hidden?: boolean } = {},
): Promise<string> {
  const { output } = context.world;
  await output.out(question);
  const restore = hidden ? await makeRaw(context.world) : () => undefined;
  try {
    let line = "";
    for await (const chunk of standardInput()) {
      for (const character of Buffer.from(chunk).toString("utf8")) {
        if (character === "\n" || character === "\r") return line;
        if (hidden && character === INTERRUPT) throw failure("", 130);
        if (hidden && ERASE.includes(character)) line = line.slice(0, -1);
        else line += character;
      }
    }
    return line;
  } finally {
    restore();
    if (hidden) await output.out("\n");
  }
}
