/**
 * Tiffin as an OCI runtime: `tiffin oci create|start|state|kill|delete …` on a bundle, with runc's command line, for
 * podman, containerd and people. It needs no engine: a container's state is a directory of files (state-directory.ts).
 *
 *   config.json → plan-*.ts (pure pieces, shared with the engine's) → launch program → native/launch.c
 *
 * The launcher prepares what only the host can give and leaves; the container's first process is the child of this one,
 * waits for `start` at a fifo, and becomes the program. What is loaded is kept small: this process lives for milliseconds.
 *
 * Source: https://github.com/opencontainers/runtime-spec 1.3.0.
 */
import { invalidArgument } from "../base/error.ts";
import { parseCommandLine } from "./command-line.ts";
import { create, kill, type OciCommand, remove, run, start, state } from "./commands.ts";
import { type LogFormat, Reporter } from "./reporter.ts";
import { SPEC_VERSION } from "./versions.ts";
import { writeOut } from "./write-out.ts";

const GLOBAL_FLAGS = {
  root: "value",
  log: "value",
  "log-format": "value",
  "log-level": "value",
  debug: "switch",
  "systemd-cgroup": "switch",
  "cgroup-manager": "value",
  criu: "value",
  rootless: "value",
  "help|h": "switch",
  "version|v": "switch",
} as const;

const DEFAULT_ROOT = "/run/tiffin/oci";

/** By name. Those that callers wait for are loaded with this file: one more file to find costs a millisecond. */
const COMMANDS: Readonly<Record<string, () => OciCommand | Promise<OciCommand>>> = {
  create: () => create,
  start: () => start,
  state: () => state,
  kill: () => kill,
  delete: () => remove,
  run: () => run,
  exec: async () => (await import("./exec.ts")).exec,
  ps: async () => (await import("./list.ts")).ps,
  list: async () => (await import("./list.ts")).list,
  pause: async () => (await import("./pause.ts")).pause,
  resume: async () => (await import("./pause.ts")).resume,
  update: async () => (await import("./update.ts")).update,
  spec: async () => (await import("./spec.ts")).spec,
  features: async () => (await import("./features.ts")).features,
};

const HELP = `Usage:  tiffin oci [OPTIONS] COMMAND [ARG...]

Tiffin as an OCI runtime, with runc's command line (runtime-spec ${SPEC_VERSION})

Commands:
  create     Make a container from a bundle, up to its program
  start      Let the program of a created container run
  run        Create, start and wait
  state      Show a container's state
  kill       Send a signal to a container's first process (or to --all)
  delete     Take away what create made
  exec       Run one more process in a container
  ps         List a container's processes
  list       List containers
  pause      Stop all processes of a container where they are
  resume     Let them go on
  update     Change limits
  spec       Write a config.json to start from
  features   Show what this runtime can do

Options:
  --root DIRECTORY      Where states are kept (default ${DEFAULT_ROOT})
  --log FILE            Where errors and warnings go
  --log-format FORMAT   text or json
  --systemd-cgroup      Taken for compatibility: cgroups are made directly

Examples:
  tiffin oci spec && tiffin oci run demo
  podman --runtime /path/to/tiffin-oci run alpine true
`;

/** Runs one command line (the words after `oci`). Resolves to the exit status; errors are reported. */
export async function runOci(words: readonly string[], version: string): Promise<number> {
  let reporter = new Reporter(undefined, "text");
  try {
    const line = parseCommandLine(words, GLOBAL_FLAGS);
    reporter = new Reporter(line.value("log"), formatOf(line.value("log-format")));
    const [name, ...rest] = line.operands;
    if (line.has("version")) {
      writeOut(`tiffin version ${version}\nspec: ${SPEC_VERSION}\n`);
      return 0;
    }
    if (name === undefined || line.has("help") || rest.includes("--help")) {
      writeOut(HELP);
      return name === undefined && !line.has("help") ? 1 : 0;
    }
    const load = COMMANDS[name];
    if (load === undefined) throw invalidArgument(`No such command: ${name}`);
    const command = await load();
    return await command(rest, {
      root: line.value("root") ?? DEFAULT_ROOT,
      warn: (text) => reporter.warn(text),
    });
  } catch (error) {
    reporter.error(error);
    return 1;
  }
}

function formatOf(word = "text"): LogFormat {
  if (word === "text" || word === "json") return word;
  throw invalidArgument(`Unknown log format ${JSON.stringify(word)}: use text or json`);
}
