import type { CommandCaller, CommandLine } from "../base/command-line.ts";
import type { Command, Output, World } from "./command.ts";
import { find, type Found } from "./command-table.ts";
import { describe, ENGINE_FAILED, exitStatusOf, failure } from "./failure.ts";
import { choosePlaces, GLOBAL_FLAGS, versionFlag } from "./global-flags.ts";
import { type Arguments, GrammarError, type GrammarOptions, parse } from "./grammar.ts";
import type { Flag } from "./flag.ts";
import { parseHost } from "./host.ts";
import { contextFor, wrongCount } from "./program.ts";

/** What the engine's process gives such a command. */
export type EngineWorld = Pick<World, "self" | "version"> & {
  /** Path of the engine's own socket. */
  readonly socket: string;
  /** Of the engine itself: what it formats times with. */
  readonly timeZone: string | undefined;
};

/**
 * Runs a command inside of the engine for a caller who has no runtime of its own (native/front.c), through the API like any
 * other command. Resolves to the exit status, or to undefined, with nothing done, when the caller must do it itself: a
 * command that needs the caller's terminal, input or files, help and mistakes, another engine's commands.
 */
export async function runInEngine(
  line: CommandLine,
  caller: CommandCaller,
  engine: EngineWorld,
): Promise<number | undefined> {
  const chosen = await choose(line, engine);
  if (chosen === undefined) return undefined;
  const { found, command, given, globals } = chosen;
  const context = contextFor(found, given, {
    places: choosePlaces(globals, line.environment),
    world: callerWorld(line, caller, engine),
  });
  // What runs a container's own program has a status for failures that are not the program's.
  if (command.interspersed === false) caller.statusIfLost(ENGINE_FAILED);
  const stop = (): void => context.api.close();
  caller.gone.addEventListener("abort", stop);
  try {
    return await command.run(context);
  } catch (error) {
    if (error instanceof LeftToCaller) return undefined;
    const text = describe(error);
    if (text !== "") await caller.error(`${text}\n`);
    return exitStatusOf(error);
  } finally {
    stop();
  }
}

/** Passes through a command that has found out that it needs its caller's own world. */
class LeftToCaller extends Error {}

interface Chosen {
  readonly found: Found;
  readonly command: Command;
  readonly given: Arguments;
  readonly globals: Arguments;
}

/** Undefined when the caller has to run it itself. */
async function choose(line: CommandLine, engine: EngineWorld): Promise<Chosen | undefined> {
  const globals = parsePlainly(line.words, GLOBAL_FLAGS, { interspersed: false });
  if (globals === undefined || globals.get(versionFlag)) return undefined;
  if (line.environment["TZ"] !== engine.timeZone || !isFor(engine, globals, line)) return undefined;
  const found = find(globals.operands);
  if (found === undefined) return undefined;
  const { command } = await found.entry.load();
  const { inEngine, interspersed = true } = command;
  if (inEngine === undefined) return undefined;
  const given = parsePlainly(found.rest, command.flags, { interspersed });
  if (given === undefined || given.isLocal || !inEngine(given)) return undefined;
  if (wrongCount(command.operands, given.operands.length) !== undefined) return undefined;
  return { found, command, given, globals };
}

/** Undefined for mistakes, help and warnings: the caller's own program has the words. */
function parsePlainly(
  words: readonly string[],
  flags: readonly Flag[],
  options: GrammarOptions,
): Arguments | undefined {
  try {
    const parsed = parse(words, flags, options);
    return parsed.kind === "arguments" && parsed.warnings.length === 0
      ? parsed.arguments
      : undefined;
  } catch (error) {
    if (error instanceof GrammarError) return undefined;
    throw error;
  }
}

function isFor(engine: EngineWorld, globals: Arguments, { environment }: CommandLine): boolean {
  try {
    const { host } = choosePlaces(globals, environment);
    if (!host.startsWith("unix://")) return false;
    const endpoint = parseHost(host);
    return "path" in endpoint && endpoint.path === engine.socket;
  } catch {
    // A context that cannot be used: the caller's own program has the words.
    return false;
  }
}

function callerWorld(line: CommandLine, caller: CommandCaller, engine: EngineWorld): World {
  const output: Output = {
    out: (data) => caller.out(data),
    error: (data) => caller.error(data),
    outIsTerminal: async () => false,
    inIsTerminal: async () => false,
  };
  return {
    environment: line.environment,
    output,
    self: engine.self,
    version: engine.version,
    ioctl: async () => undefined,
    flock: async () => undefined,
    onSignal: (handle) => caller.onSignal(handle),
    leaveToCaller: () => {
      throw new LeftToCaller();
    },
    exit: (status) => caller.end(status),
    runEngine: async () => {
      throw failure("tiffin: Cannot run an engine inside of another");
    },
  };
}
