import { type Flag, text, toggle } from "./flag.ts";
import type { Arguments } from "./grammar.ts";
import type { ChosenPlaces } from "./command.ts";
import { contextHost, currentContext, DEFAULT_CONTEXT, type Environment } from "./context-store.ts";
import { failure } from "./failure.ts";

const root = text("root", 'Where state is kept (default "/var/lib/tiffin")');
const run = text("run", 'Where run-time files are kept (default "/run/tiffin")');
const host = text("host", 'Socket of the engine (default "unix://RUN/tiffin.sock")', {
  short: "H",
});
const context = text(
  "context",
  'Name of the context to use to connect to the engine (overrides TIFFIN_HOST env var and default context set with "tiffin context use")',
  { short: "c" },
);
const debug = toggle("debug", "Enable debug mode", { short: "D" });
const logLevel = text(
  "log-level",
  'Set the logging level ("debug", "info", "warn", "error", "fatal")',
  { short: "l", initial: "info" },
);
export const versionFlag: Flag<boolean> = toggle("version", "Print version information and quit", {
  short: "v",
});

/** The flags that stand before the command's name. */
export const GLOBAL_FLAGS: readonly Flag[] = [
  context,
  debug,
  host,
  logLevel,
  root,
  run,
  versionFlag,
];

/**
 * Where the engine's things are: flags, then environment, then the context in use, then defaults. The socket follows the
 * run directory. The host of a context is looked up when it is asked for: commands that ask no engine need none.
 * @throws when both a host and a context are named
 */
export function choosePlaces(given: Arguments, environment: Environment): ChosenPlaces {
  const pick = (flag: Flag<string>, name: string, fallback: string): string =>
    given.get(flag) || environment[name] || fallback;
  if (given.get(host) !== "" && given.get(context) !== "") {
    throw failure("conflicting options: cannot specify both --host and --context");
  }
  const runPlace = pick(run, "TIFFIN_RUN", "/run/tiffin");
  const defaultHost = pick(host, "TIFFIN_HOST", `unix://${runPlace}/tiffin.sock`);
  const name =
    given.get(host) === "" ? given.get(context) || currentContext(environment) : DEFAULT_CONTEXT;
  return {
    root: pick(root, "TIFFIN_ROOT", "/var/lib/tiffin"),
    run: runPlace,
    context: name,
    defaultHost,
    get host() {
      return contextHost(environment, name) ?? defaultHost;
    },
    debug: given.get(debug),
    logLevel: given.get(logLevel),
  };
}
