import { invalidArgument } from "../base/error.ts";

/** What a flag takes: nothing, one value, or a value each time that it is given. */
export type FlagKind = "switch" | "value" | "list";

export interface CommandLine {
  readonly operands: readonly string[];
  has(name: string): boolean;
  value(name: string): string | undefined;
  list(name: string): readonly string[];
}

/**
 * runc's grammar: flags before operands, `--name value` or `--name=value`, one dash as good as two, `--` ends them.
 * @param flags by name; a short one is `name|n`
 * @throws invalid-argument
 */
export function parseCommandLine(
  words: readonly string[],
  flags: Readonly<Record<string, FlagKind>>,
): CommandLine {
  const kinds = new Map<string, { name: string; kind: FlagKind }>();
  for (const [names, kind] of Object.entries(flags)) {
    const [name = "", ...others] = names.split("|");
    for (const alias of [name, ...others]) kinds.set(alias, { name, kind });
  }
  const found = new Map<string, string[]>();
  let at = 0;
  for (; at < words.length; at++) {
    const word = words[at] ?? "";
    if (word === "--") {
      at++;
      break;
    }
    const [, written, , inline] = /^--?([^=-][^=]*)(=(.*))?$/s.exec(word) ?? [];
    if (written === undefined) break;
    const flag = kinds.get(written);
    if (flag === undefined) throw invalidArgument(`Unknown flag: ${word}`);
    let value = inline;
    if (flag.kind === "switch") value ??= "true";
    else if (value === undefined) value = words[++at];
    if (value === undefined) throw invalidArgument(`The flag ${word} needs a value`);
    found.set(flag.name, [...(found.get(flag.name) ?? []), value]);
  }
  return {
    operands: words.slice(at),
    has: (name) => found.get(name)?.at(-1) === "true",
    value: (name) => found.get(name)?.at(-1),
    list: (name) => found.get(name) ?? [],
  };
}

/** Just as many operands as a command takes. @throws invalid-argument */
export function exactly(line: CommandLine, count: number, usage: string): string[] {
  if (line.operands.length !== count) throw invalidArgument(`Wrong arguments: usage: ${usage}`);
  return [...line.operands];
}
