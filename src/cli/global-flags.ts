import { type Flag, text, toggle } from "./flag.ts";
import type { Arguments } from "./grammar.ts";
import type { ChosenPlaces } from "./command.ts";

const root = text("root", 'Where state is kept (default "/var/lib/tiffin")');
const run = text("run", 'Where run-time files are kept (default "/run/tiffin")');
const host = text("host", 'Socket of the engine (default "unix://RUN/tiffin.sock")', {
  short: "H",
});
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
export const GLOBAL_FLAGS: readonly Flag[] = [debug, host, logLevel, root, run, versionFlag];

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the engine's things are: flags, then environment, then defaults. The socket follows the run directory. */
export function choosePlaces(given: Arguments, environment: Environment): ChosenPlaces {
  const pick = (flag: Flag<string>, name: string, fallback: string): string =>
    given.get(flag) || environment[name] || fallback;
  const runPlace = pick(run, "TIFFIN_RUN", "/run/tiffin");
  return {
    root: pick(root, "TIFFIN_ROOT", "/var/lib/tiffin"),
    run: runPlace,
    host: pick(host, "TIFFIN_HOST", `unix://${runPlace}/tiffin.sock`),
    debug: given.get(debug),
    logLevel: given.get(logLevel),
  };
}
