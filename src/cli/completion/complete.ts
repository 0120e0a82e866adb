import { COMMANDS, type Entry, NOUNS } from "../command-table.ts";
import type { Command } from "../command.ts";
import { type Flag, isSwitch } from "../flag.ts";
import { GLOBAL_FLAGS } from "../global-flags.ts";
import { type Kind, operandKind, valueKind } from "./operand-kind.ts";

export interface Candidate {
  readonly value: string;
  /** Shown beside it by shells that show such things; may be empty. */
  readonly description: string;
}

export interface Completion {
  readonly candidates: readonly Candidate[];
  /** The shell's own completion of files applies too. */
  readonly files: boolean;
}

/** Looks names up: of containers, images and so on. */
export type Names = (
  kind: Exclude<Kind, object | "file" | "path" | "none">,
) => Promise<Candidate[]>;

const NOTHING: Completion = { candidates: [], files: false };

/**
 * What the last of the words may become; they are those after the program's name, the last one perhaps empty. All that is
 * known of commands comes from their own descriptions.
 */
export async function complete(words: readonly string[], names: Names): Promise<Completion> {
  const typed = words.at(-1) ?? "";
  const globals = readWords(words.slice(0, -1), GLOBAL_FLAGS, false);
  const chosen = await choose(globals, typed, names);
  const candidates = chosen.candidates.filter(({ value }) => value.startsWith(typed));
  return { candidates: unique(candidates), files: chosen.files };
}

async function choose(globals: Read, typed: string, names: Names): Promise<Completion> {
  if (globals.pending !== undefined) return values(globals.pending, "", names);
  const [first, second] = globals.operands;
  if (first === undefined) {
    return typed.startsWith("-") ? flags(GLOBAL_FLAGS, typed, names) : firstWords();
  }
  const isNoun = Object.hasOwn(NOUNS, first);
  if (isNoun && second === undefined) return verbs(first);
  const entry = isNoun ? findVerb(first, second ?? "") : findWord(first);
  if (first === "help") return globals.operands.length === 1 ? firstWords() : NOTHING;
  if (entry === undefined) return NOTHING;
  const { command } = await entry.load();
  const rest = globals.operands.slice(isNoun ? 2 : 1);
  return forCommand(entry, command, { rest, typed, names });
}

async function forCommand(
  entry: Entry,
  command: Command,
  line: { rest: readonly string[]; typed: string; names: Names },
): Promise<Completion> {
  const { typed, names } = line;
  const interspersed = command.interspersed ?? true;
  const read = readWords(line.rest, command.flags, interspersed);
  if (read.pending !== undefined) return values(read.pending, "", names);
  const mayBeFlag = !read.isOver && (interspersed || read.operands.length === 0);
  if (typed.startsWith("-") && mayBeFlag) return flags(command.flags, typed, names);
  const verb = entry.path.split(" ").at(-1) ?? "";
  const found = await ofKind(operandKind(verb, command.usage, read.operands.length), names);
  const candidates = found.candidates.filter(({ value }) => !read.operands.includes(value));
  // After an image comes a command of the container's, of which nothing is known here.
  return { candidates, files: found.files };
}

interface Read {
  readonly operands: string[];
  /** The flag whose value comes next. */
  readonly pending: Flag | undefined;
  /** No flag can follow. */
  readonly isOver: boolean;
}

/** Reads words as the grammar does (grammar.ts), but takes what is wrong or unknown as it comes. */
function readWords(words: readonly string[], known: readonly Flag[], interspersed: boolean): Read {
  const operands: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (word === "--" || (!interspersed && !isFlag(word))) {
      const rest = words.slice(word === "--" ? index + 1 : index);
      return { operands: [...operands, ...rest], pending: undefined, isOver: true };
    }
    const flag = takesValue(word, known);
    if (flag !== undefined && index === words.length - 1) {
      return { operands, pending: flag, isOver: false };
    }
    if (flag !== undefined) index += 1;
    else if (!isFlag(word)) operands.push(word);
  }
  return { operands, pending: undefined, isOver: false };
}

function isFlag(word: string): boolean {
  return word.startsWith("-") && word !== "-";
}

/** The flag of a word whose value is the next word: `--name`, `-f`, `-itv`. */
function takesValue(word: string, known: readonly Flag[]): Flag | undefined {
  if (!isFlag(word) || word.includes("=")) return undefined;
  if (word.startsWith("--")) {
    const flag = known.find(({ name }) => name === word.slice(2));
    return flag !== undefined && !isSwitch(flag) ? flag : undefined;
  }
  const letters = word.slice(1).split("");
  const first = letters.findIndex((letter) => {
    const flag = known.find(({ short }) => short === letter);
    return flag !== undefined && !isSwitch(flag);
  });
  if (first < 0 || first < letters.length - 1) return undefined;
  return known.find(({ short }) => short === letters[first]);
}

async function flags(known: readonly Flag[], typed: string, names: Names): Promise<Completion> {
  const [, name, head] = /^--([^=]+)(=)/.exec(typed) ?? [];
  const flag = known.find((candidate) => candidate.name === name);
  if (flag !== undefined && head !== undefined) return values(flag, `--${name}=`, names);
  const shown = known.filter(({ hidden, deprecated }) => !hidden && deprecated === undefined);
  const candidates = [
    ...shown.map((one) => ({ value: `--${one.name}`, description: firstLine(one.help) })),
    ...(typed === "-" ? shown.flatMap(shortCandidate) : []),
    { value: "--help", description: "Print usage" },
  ];
  return { candidates, files: false };
}

function shortCandidate({ short, help }: Flag): Candidate[] {
  return short === undefined ? [] : [{ value: `-${short}`, description: firstLine(help) }];
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0] ?? "";
}

async function values(flag: Flag, prefix: string, names: Names): Promise<Completion> {
  const { candidates, files } = await ofKind(valueKind(flag), names);
  return {
    candidates: candidates.map((one) => ({ ...one, value: `${prefix}${one.value}` })),
    files,
  };
}

async function ofKind(kind: Kind, names: Names): Promise<Completion> {
  if (kind === "none") return NOTHING;
  if (kind === "file") return { candidates: [], files: true };
  if (kind === "path") {
    const containers = await names("container");
    const candidates = containers.map((one) => ({ ...one, value: `${one.value}:` }));
    return { candidates, files: true };
  }
  if (typeof kind !== "object") return { candidates: await names(kind), files: false };
  return { candidates: kind.words.map((value) => ({ value, description: "" })), files: false };
}

async function firstWords(): Promise<Completion> {
  const shown = COMMANDS.filter(({ hidden }) => hidden !== true);
  const commands = await Promise.all(
    shown
      .filter(({ path, short }) => short !== undefined || !path.includes(" "))
      .map(async ({ path, short, load }) => ({
        value: short ?? path,
        description: (await load()).command.summary,
      })),
  );
  const nouns = Object.entries(NOUNS).map(([value, description]) => ({ value, description }));
  const engine = { value: "engine", description: "Run the engine in the foreground" };
  const help = { value: "help", description: "Help about a command" };
  return { candidates: [...commands, ...nouns, engine, help], files: false };
}

async function verbs(noun: string): Promise<Completion> {
  const entries = COMMANDS.filter(({ path }) => path.startsWith(`${noun} `));
  const candidates = await Promise.all(
    entries.map(async ({ path, load }) => ({
      value: path.slice(noun.length + 1),
      description: (await load()).command.summary,
    })),
  );
  return { candidates, files: false };
}

function findVerb(noun: string, verb: string): Entry | undefined {
  return COMMANDS.find(
    ({ path, verbAliases = [] }) =>
      path === `${noun} ${verb}` || (path.startsWith(`${noun} `) && verbAliases.includes(verb)),
  );
}

function findWord(word: string): Entry | undefined {
  return COMMANDS.find(({ path, short }) => short === word || path === word);
}

function unique(candidates: readonly Candidate[]): Candidate[] {
  return [...new Map(candidates.map((candidate) => [candidate.value, candidate])).values()];
}
