import { ApiClient } from "../api/client.ts";
import type { ChosenPlaces, Command, Context, OperandCount, World } from "./command.ts";
import { find, type Found, NOUNS } from "./command-table.ts";
import { runEngineCommand } from "./engine-command.ts";
import { describe, ENGINE_FAILED, exitStatusOf, failure } from "./failure.ts";
import { choosePlaces, GLOBAL_FLAGS, versionFlag } from "./global-flags.ts";
import { type Arguments, GrammarError, parse, type Parsed } from "./grammar.ts";
import { parseHost } from "./host.ts";
import { BrokenPipe } from "./output.ts";

const DEFAULT_COLUMNS = 80;
/** 128 + SIGPIPE: what a shell shows for a program that wrote to a reader that has gone. */
const BROKEN_PIPE_STATUS = 141;

/** Runs one command line (without the program's own name). Resolves to the exit status; errors are printed. */
export async function runProgram(words: readonly string[], world: World): Promise<number> {
  try {
    return await dispatch(words, world);
  } catch (error) {
    if (error instanceof BrokenPipe) return BROKEN_PIPE_STATUS;
    const text = describe(error);
    if (text !== "") await world.output.error(`${text}\n`);
    return exitStatusOf(error);
  }
}

async function dispatch(words: readonly string[], world: World): Promise<number> {
  const globals = parseGlobals(words);
  if (globals.kind === "help") return showRootHelp(world, globals.warnings);
  const given = globals.arguments;
  if (given.get(versionFlag)) {
    await world.output.out(`Tiffin version ${world.version}\n`);
    return 0;
  }
  const [first] = given.operands;
  if (first === undefined) return showRootHelp(world, []);
  if (first === "engine") return runEngineCommand(given.operands.slice(1), given, world);
  if (first === "help") return showHelpFor(given.operands.slice(1), world);
  const found = find(given.operands);
  if (found === undefined) return showNounOrFail(given.operands, world);
  return runCommand(found, choosePlaces(given, world.environment), world);
}

function parseGlobals(words: readonly string[]): Parsed {
  try {
    return parse(words, GLOBAL_FLAGS, { interspersed: false });
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    throw failure(
      `${error.message}\n\nUsage:  tiffin [OPTIONS] COMMAND [ARG...]\n\nRun 'tiffin --help' for more information`,
      ENGINE_FAILED,
    );
  }
}

async function runCommand(found: Found, places: ChosenPlaces, world: World): Promise<number> {
  const { command } = await found.entry.load();
  const usage = `Usage:  tiffin ${found.calledAs} ${command.usage}`.trimEnd();
  let parsed: Parsed;
  try {
    parsed = parse(found.rest, command.flags, { interspersed: command.interspersed ?? true });
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    const more = `Run 'tiffin ${found.calledAs} --help' for more information`;
    throw failure(`${error.message}\n\n${usage}\n\n${more}`, ENGINE_FAILED);
  }
  for (const warning of parsed.warnings) await world.output.error(`${warning}\n`);
  if (parsed.kind === "help") {
    await showCommandHelp(found, world);
    return 0;
  }
  const wrong = wrongCount(command.operands, parsed.arguments.operands.length);
  if (wrong !== undefined) {
    const name = `tiffin ${found.calledAs}`;
    throw failure(
      `tiffin: '${name}' ${wrong}\n\n${usage}\n\nRun '${name} --help' for more information`,
    );
  }
  return command.run(contextFor(found, parsed.arguments, { places, world }));
}

/** What a command gets to run with. */
export function contextFor(
  found: Found,
  given: Arguments,
  { places, world }: { places: ChosenPlaces; world: World },
): Context {
  let client: ApiClient | undefined;
  return {
    arguments: given,
    calledAs: found.calledAs,
    get api() {
      return (client ??= clientFor(places, world));
    },
    world,
    places,
    print: (line) => world.output.out(`${line}\n`),
    warn: (line) => world.output.error(`${line}\n`),
  };
}

function clientFor(places: ChosenPlaces, world: World): ApiClient {
  const endpoint = parseHost(places.host);
  const whenUnreachable = async (): Promise<boolean> => {
    if (!("path" in endpoint)) return false;
    const { startEngine } = await import("./start-engine.ts");
    await startEngine({ ...places, socket: endpoint.path }, world);
    return true;
  };
  return new ApiClient({ endpoint, whenUnreachable });
}

/** What is wrong with a number of operands, in docker's words. */
export function wrongCount(count: OperandCount, given: number): string | undefined {
  if ("exactly" in count) {
    if (given === count.exactly) return undefined;
    return count.exactly === 0 ? "accepts no arguments" : `requires ${plural(count.exactly)}`;
  }
  if ("atLeast" in count) {
    return given >= count.atLeast ? undefined : `requires at least ${plural(count.atLeast)}`;
  }
  if ("between" in count) {
    const [least, most] = count.between;
    if (given >= least && given <= most) return undefined;
    return `requires at least ${least} and at most ${plural(most)}`;
  }
  return given <= count.atMost ? undefined : `requires at most ${plural(count.atMost)}`;
}

function plural(count: number): string {
  return `${count} ${count === 1 ? "argument" : "arguments"}`;
}

async function columnsOf(world: World): Promise<number> {
  const isTerminal = await world.output.outIsTerminal();
  const columns = isTerminal ? process.stdout.columns : DEFAULT_COLUMNS;
  return columns > 0 ? columns : DEFAULT_COLUMNS;
}

async function showRootHelp(world: World, warnings: readonly string[]): Promise<number> {
  for (const warning of warnings) await world.output.error(`${warning}\n`);
  const { rootHelp } = await import("./help.ts");
  await world.output.out(await rootHelp(await columnsOf(world)));
  return 0;
}

async function showCommandHelp(found: Found, world: World): Promise<void> {
  const { commandHelp } = await import("./help.ts");
  const { command }: { command: Command } = await found.entry.load();
  await world.output.out(commandHelp(found.entry, found.calledAs, command, await columnsOf(world)));
}

async function showHelpFor(words: readonly string[], world: World): Promise<number> {
  const [first] = words;
  if (first === undefined) return showRootHelp(world, []);
  const found = find(words);
  if (found !== undefined && found.rest.length === 0) {
    await showCommandHelp(found, world);
    return 0;
  }
  if (words.length === 1 && Object.hasOwn(NOUNS, first)) {
    const { nounHelp } = await import("./help.ts");
    await world.output.out(await nounHelp(first));
    return 0;
  }
  throw failure(`unknown help topic: ${words.join(" ")}`);
}

async function showNounOrFail(words: readonly string[], world: World): Promise<number> {
  const [noun = "", verb] = words;
  if (!Object.hasOwn(NOUNS, noun)) {
    throw failure(
      `tiffin: unknown command: tiffin ${noun}\n\nRun 'tiffin --help' for more information`,
    );
  }
  if (verb === undefined || verb === "--help" || verb === "-h") return showHelpFor([noun], world);
  throw failure(
    `tiffin: unknown command: tiffin ${noun} ${verb}\n\nUsage:  tiffin ${noun}\n\nRun 'tiffin ${noun} --help' for more information`,
  );
}
