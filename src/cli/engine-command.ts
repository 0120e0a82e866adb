import type { World, WrittenSettings } from "./command.ts";
import { failure } from "./failure.ts";
import { text } from "./flag.ts";
import { choosePlaces } from "./global-flags.ts";
import { type Arguments, GrammarError, parse, type Parsed } from "./grammar.ts";
import { parseHost } from "./host.ts";

const firewall = text(
  "firewall",
  `Who decides about published ports: "docker" (they are open), "host" (the host's input rules), "none" (no nf_tables) (default: as last time, at first "docker")`,
);
const ready = text(
  "ready",
  "How many containers are begun before anyone asks for them, 0 to 99 (default 2)",
);
const FLAGS = [firewall, ready];
/** What a flag that is not given comes from. */
const FIREWALL_VARIABLE = "TIFFIN_FIREWALL";
const READY_VARIABLE = "TIFFIN_READY";

/** The words that hand the environment's settings to an engine that is started in the background. */
export function settingWords(environment: World["environment"]): string[] {
  return [
    ["--firewall", environment[FIREWALL_VARIABLE] ?? ""] as const,
    ["--ready", environment[READY_VARIABLE] ?? ""] as const,
  ].flatMap(([flag, value]) => (value === "" ? [] : [flag, value]));
}

const USAGE = "Usage:  tiffin [OPTIONS] engine [OPTIONS]";

/** `tiffin engine`: runs the engine in the foreground. Resolves to its exit status. */
export async function runEngineCommand(
  words: readonly string[],
  globals: Arguments,
  world: World,
): Promise<number> {
  const parsed = parseWords(words);
  if (parsed.kind === "help") {
    const { flagUsages } = await import("./help.ts");
    await world.output.out(
      `${USAGE}\n\nRun the engine in the foreground: --root, --run and --host say where\n\nOptions:\n${flagUsages(FLAGS, COLUMNS)}\n`,
    );
    return 0;
  }
  if (parsed.arguments.operands.length > 0) throw refused("'tiffin engine' accepts no arguments");
  const { root, run, defaultHost } = choosePlaces(globals, world.environment);
  const endpoint = parseHost(defaultHost);
  if (!("path" in endpoint)) {
    throw failure(
      `tiffin: Cannot serve on ${defaultHost}\nhint: The engine listens on a unix socket: unix:///PATH`,
    );
  }
  const setting = (flag: typeof firewall, variable: string): string =>
    parsed.arguments.get(flag) || (world.environment[variable] ?? "");
  const policy = setting(firewall, FIREWALL_VARIABLE);
  const number = setting(ready, READY_VARIABLE);
  const settings: WrittenSettings = {
    ...(policy === "" ? {} : { firewall: policy }),
    ...(number === "" ? {} : { ready: number }),
  };
  return world.runEngine({ root, run, socket: endpoint.path }, settings);
}

const COLUMNS = 100;

function parseWords(words: readonly string[]): Parsed {
  try {
    return parse(words, FLAGS, { interspersed: true });
  } catch (error) {
    if (!(error instanceof GrammarError)) throw error;
    throw refused(error.message);
  }
}

function refused(message: string): Error {
  return failure(
    `tiffin: ${message}\n\n${USAGE}\n\nRun 'tiffin engine --help' for more information`,
  );
}
