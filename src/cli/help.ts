import type { Command } from "./command.ts";
import { COMMANDS, type Entry, NOUNS } from "./command-table.ts";
import { type Flag, isSwitch } from "./flag.ts";
import { GLOBAL_FLAGS } from "./global-flags.ts";

/** Below this the text does not stand beside its flag any more. */
const LEAST_COLUMNS = 24;
const BLOCK_INDENT = 16;
/** A line may run over by so much, so that no short word is left alone on the last line. */
const SLOP = 5;

/** What `tiffin COMMAND --help` prints. */
export function commandHelp(
  entry: Entry,
  calledAs: string,
  command: Command,
  columns: number,
): string {
  const parts = [`Usage:  ${usageLine(calledAs, command)}`, command.summary];
  const names = aliases(entry);
  if (names.length > 1)
    parts.push(`Aliases:\n  ${names.map((name) => `tiffin ${name}`).join(", ")}`);
  if (command.examples !== undefined) parts.push(`Examples:\n${indented(command.examples)}`);
  const flags = flagUsages(command.flags, columns);
  if (flags !== "") parts.push(`Options:\n${flags}`);
  if (command.exitStatus !== undefined) {
    const rows = Object.entries(command.exitStatus).map(
      ([status, when]) => `${status.padEnd(6)}${when}`,
    );
    parts.push(`Exit status:\n${indented(rows.join("\n"))}`);
  }
  return `${parts.join("\n\n")}\n`;
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

export function usageLine(calledAs: string, command: Command): string {
  return `tiffin ${calledAs} ${command.usage}`.trimEnd();
}

/** All names of a command, the full ones first. */
export function aliases(entry: Entry): string[] {
  const noun = entry.path.split(" ", 1)[0] ?? "";
  const verbs = (entry.verbAliases ?? []).map((verb) => `${noun} ${verb}`);
  return [entry.path, ...verbs, ...(entry.short === undefined ? [] : [entry.short])];
}

/** What `tiffin container` prints. */
export async function nounHelp(noun: string): Promise<string> {
  const entries = COMMANDS.filter(({ path }) => path.startsWith(`${noun} `));
  const rows = await summaries(entries, ({ path }) => path.slice(noun.length + 1));
  return [
    `Usage:  tiffin ${noun} COMMAND`,
    NOUNS[noun] ?? "",
    `Commands:\n${table(rows)}`,
    `Run 'tiffin ${noun} COMMAND --help' for more information on a command.\n`,
  ].join("\n\n");
}

/** What `tiffin` and `tiffin --help` print. */
export async function rootHelp(columns: number): Promise<string> {
  const alone = COMMANDS.filter(
    ({ path, short, hidden }) => hidden !== true && (short !== undefined || !path.includes(" ")),
  );
  const name = ({ path, short }: Entry): string => short ?? path;
  const common = alone.filter((entry) => entry.common !== undefined);
  common.sort((a, b) => (a.common ?? 0) - (b.common ?? 0));
  const others = alone.filter((entry) => entry.common === undefined);
  const rest = [
    ...(await summaries(others, name)),
    ["engine", "Run the engine in the foreground"] as const,
  ];
  rest.sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    "Usage:  tiffin [OPTIONS] COMMAND",
    "A container engine for Linux: a container is a list of system calls",
    `Common Commands:\n${table(await summaries(common, name))}`,
    `Management Commands:\n${table(Object.entries(NOUNS))}`,
    `Commands:\n${table(rest)}`,
    `Global Options:\n${flagUsages(GLOBAL_FLAGS, columns)}`,
    "Run 'tiffin COMMAND --help' for more information on a command.\n",
  ].join("\n\n");
}

type Row = readonly [name: string, summary: string];

async function summaries(
  entries: readonly Entry[],
  name: (entry: Entry) => string,
): Promise<Row[]> {
  const rows = await Promise.all(
    entries.map(async (entry): Promise<Row> => [name(entry), (await entry.load()).command.summary]),
  );
  return rows;
}

function table(rows: readonly Row[]): string {
  const width = Math.max(11, ...rows.map(([name]) => name.length));
  return rows.map(([name, summary]) => `  ${name.padEnd(width)} ${summary}`).join("\n");
}

/** The table of flags in pflag's layout: names, then the text wrapped beside them. */
export function flagUsages(flags: readonly Flag[], columns: number): string {
  const shown = flags.filter((flag) => !flag.hidden && flag.deprecated === undefined);
  shown.sort((a, b) => (a.name < b.name ? -1 : 1));
  const rows = shown.map((flag): Row => [flagName(flag), flagText(flag)]);
  const width = Math.max(0, ...rows.map(([name]) => name.length)) + 3;
  return rows
    .map(([name, words]) => `${name.padEnd(width)}${wrap(words, width, columns - 1)}`)
    .join("\n");
}

function flagName(flag: Flag): string {
  const name =
    flag.short === undefined ? `      --${flag.name}` : `  -${flag.short}, --${flag.name}`;
  return isSwitch(flag) ? name : `${name} ${flag.type}`;
}

function flagText(flag: Flag): string {
  return flag.shownDefault === undefined
    ? flag.help
    : `${flag.help} (default ${flag.shownDefault})`;
}

function wrap(words: string, indent: number, columns: number): string {
  const lines: string[] = [];
  let start = indent;
  if (columns - start < LEAST_COLUMNS) {
    start = BLOCK_INDENT;
    lines.push("");
  }
  const room = columns - start - SLOP;
  if (room + SLOP < LEAST_COLUMNS) return words;
  let rest = words;
  do {
    const [line, left] = takeLine(rest, room);
    lines.push(line);
    rest = left;
  } while (rest !== "");
  return lines.join("\n").replaceAll("\n", `\n${" ".repeat(start)}`);
}

/** The words that fit, and the rest. A line break of the text itself comes first. */
function takeLine(words: string, room: number): [line: string, rest: string] {
  if (room + SLOP > words.length) return [words, ""];
  const head = words.slice(0, room);
  const cut = Math.max(head.lastIndexOf(" "), head.lastIndexOf("\t"), head.lastIndexOf("\n"));
  if (cut <= 0) return [words, ""];
  const lineBreak = head.lastIndexOf("\n");
  const at = lineBreak > 0 && lineBreak < cut ? lineBreak : cut;
  return [words.slice(0, at), words.slice(at + 1)];
}
