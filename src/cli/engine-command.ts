import type { World } from "./command.ts";
import { failure } from "./failure.ts";
import { text } from "./flag.ts";
import { choosePlaces } from "./global-flags.ts";
import { type Arguments, GrammarError, parse, type Parsed } from "./grammar.ts";
import { parseHost } from "./host.ts";

const firewall = text(
  "firewall",
  `Who decides about published ports: "docker" (they are open), "host" (the host's input rules), "none" (no nf_tables) (default: as last time, at first "docker")`,
);
/** What else a flag that is not given comes from. */
export const FIREWALL_VARIABLE = "TIFFIN_FIREWALL";

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
      `${USAGE}\n\nRun the engine in the foreground: --root, --run and --host say where\n\nOptions:\n${flagUsages([firewall], COLUMNS)}\n`,
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
  const policy = parsed.arguments.get(firewall) || (world.environment[FIREWALL_VARIABLE] ?? "");
  const settings = policy === "" ? {} : { firewall: policy };
  return world.runEngine({ root, run, socket: endpoint.path }, settings);
}

const COLUMNS = 100;

function parseWords(words: readonly string[]): Parsed {
  try {
    return parse(words, [firewall], { interspersed: true });
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
