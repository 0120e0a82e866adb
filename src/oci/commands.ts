import { rmSync } from "node:fs";
import { invalidArgument, isTiffinError, TiffinError } from "../base/error.ts";
import { closeFd } from "../kernel/process.ts";
import { syscallRaw, syscallError } from "../kernel/syscall.ts";
import { readBundle } from "./bundle.ts";
import { exactly, parseCommandLine } from "./command-line.ts";
import { cgroupsOf, describeState, statusOf } from "./container-status.ts";
import { createContainer, type Created } from "./create.ts";
import { deleteContainer, deleteTorn } from "./delete.ts";
import { runHooks } from "./hooks.ts";
import type { RuntimeSpec } from "../base/runtime-spec.ts";
import { ownConsole, waitInForeground } from "./run-process.ts";
import { signalNumber } from "../base/signal-number.ts";
import { startContainer } from "./start.ts";
import { StateDirectory } from "./state-directory.ts";
import { writeOut } from "./write-out.ts";

/** What every command gets. */
export interface OciContext {
  /** Where containers' states are. */
  readonly root: string;
  readonly warn: (text: string) => void;
}

export type OciCommand = (
  words: readonly string[],
  context: OciContext,
) => number | Promise<number>;

const CREATE_FLAGS = {
  "bundle|b": "value",
  "console-socket": "value",
  "pidfd-socket": "value",
  "pid-file": "value",
  "no-pivot": "switch",
  "no-new-keyring": "switch",
  "preserve-fds": "value",
  preserve_fds: "value",
} as const;

/** Descriptors from 3 on that the caller passes, less those of the launcher's own. */
const MOST_PRESERVED = 8;

export function readPreserveFds(text: string | undefined): number {
  const count = Number(text ?? "0");
  if (Number.isInteger(count) && count >= 0 && count <= MOST_PRESERVED) return count;
  throw invalidArgument(`Cannot preserve ${text} descriptors: at most ${MOST_PRESERVED}`);
}

export const create: OciCommand = (words, context) => {
  const line = parseCommandLine(words, CREATE_FLAGS);
  const [id = ""] = exactly(line, 1, "create [OPTIONS] CONTAINER");
  createContainer({
    ...context,
    id,
    bundle: readBundle(line.value("bundle") ?? "."),
    consoleSocket: line.value("console-socket"),
    pidFile: line.value("pid-file"),
    preserveFds: readPreserveFds(line.value("preserve-fds")),
    noPivot: line.has("no-pivot"),
    noKeyring: line.has("no-new-keyring"),
    runsAtOnce: false,
  });
  return 0;
};

/** The container, held. @throws not-found */
export function openContainer(context: OciContext, id: string): Created {
  const directory = StateDirectory.open(context.root, id);
  directory.hold();
  return { directory, state: directory.read() };
}

export const start: OciCommand = (words, context) => {
  const [id = ""] = exactly(parseCommandLine(words, {}), 1, "start CONTAINER");
  startContainer(openContainer(context, id), context.warn);
  return 0;
};

export const state: OciCommand = (words, { root }) => {
  const [id = ""] = exactly(parseCommandLine(words, {}), 1, "state CONTAINER");
  const directory = StateDirectory.open(root, id);
  const stored = directory.read();
  const shown = describeState(stored, statusOf(directory, stored));
  writeOut(`${JSON.stringify(shown, null, 2)}\n`);
  return 0;
};

export const kill: OciCommand = (words, { root }) => {
  const line = parseCommandLine(words, { "all|a": "switch" });
  const [id = "", signal = "SIGTERM", ...rest] = line.operands;
  if (id === "" || rest.length > 0) {
    throw invalidArgument("Wrong arguments: usage: kill [--all] CONTAINER [SIGNAL]");
  }
  const number = signalNumber(signal);
  const directory = StateDirectory.open(root, id);
  const stored = directory.read();
  const status = statusOf(directory, stored);
  if (line.has("all")) {
    const { driver, paths } = cgroupsOf(stored);
    for (const pid of driver.processes(paths.name)) syscallRaw("kill", pid, number);
    if (status !== "stopped" || !stored.ownPids) return 0;
  }
  if (status === "stopped" || status === "creating") {
    throw new TiffinError("conflict", `Cannot kill container "${id}": container not running`);
  }
  const result = syscallRaw("kill", stored.pid, number);
  if (result < 0) throw syscallError("kill", result, `kill container "${id}"`);
  // A task that is frozen by cgroup v1 dies only when it is let go.
  if (status === "paused" && number === 9) {
    const { driver, paths } = cgroupsOf(stored);
    driver.kill(paths.name);
  }
  return 0;
};

export const remove: OciCommand = (words, context) => {
  const line = parseCommandLine(words, { "force|f": "switch" });
  const [id = ""] = exactly(line, 1, "delete [--force] CONTAINER");
  const force = line.has("force");
  let directory: StateDirectory;
  try {
    directory = StateDirectory.open(context.root, id);
    directory.hold();
  } catch (error) {
    if (force && isTiffinError(error, "not-found")) return 0;
    throw error;
  }
  let stored: Created["state"];
  try {
    stored = directory.read();
    directory.readConfig();
  } catch (error) {
    if (!force) throw error;
    deleteTorn(directory);
    return 0;
  }
  deleteContainer({ directory, state: stored }, { force, warn: context.warn });
  return 0;
};

export const run: OciCommand = async (words, context) => {
  const line = parseCommandLine(words, {
    ...CREATE_FLAGS,
    "detach|d": "switch",
    keep: "switch",
    "no-subreaper": "switch",
  });
  const [id = ""] = exactly(line, 1, "run [OPTIONS] CONTAINER");
  const bundle = readBundle(line.value("bundle") ?? ".");
  const isDetached = line.has("detach");
  const socket = line.value("console-socket");
  const showsTerminal = bundle.spec.process?.terminal === true && socket === undefined;
  if (showsTerminal && isDetached) {
    throw invalidArgument("Cannot run detached with a terminal: give a --console-socket");
  }
  if (!isDetached && !line.has("no-subreaper")) becomeSubreaper();
  const console = showsTerminal ? ownConsole() : undefined;
  // Hooks of start come between: then the program waits as after create.
  const runsAtOnce = (bundle.spec.hooks?.startContainer?.length ?? 0) === 0;
  const created = createContainer({
    ...context,
    id,
    bundle,
    runsAtOnce,
    consoleSocket: console?.theirs ?? socket,
    pidFile: line.value("pid-file"),
    preserveFds: readPreserveFds(line.value("preserve-fds")),
    noPivot: line.has("no-pivot"),
    noKeyring: line.has("no-new-keyring"),
  });
  const terminal = console?.take();
  if (console) closeFd(console.theirs);
  if (runsAtOnce) runPoststart(created, bundle.spec, context.warn);
  else startContainer(created, context.warn);
  if (isDetached) return 0;
  created.directory.release();
  const status = await waitInForeground(created.state.pid, terminal);
  if (line.has("keep")) return status;
  created.directory.hold();
  deleteContainer(created, { force: true, spec: bundle.spec, warn: context.warn });
  const pidFile = line.value("pid-file");
  if (pidFile !== undefined) rmSync(pidFile, { force: true });
  return status;
};

/** Orphans of the container become this process's children, which reaps them. */
function becomeSubreaper(): void {
  const PR_SET_CHILD_SUBREAPER = 36;
  syscallRaw("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

function runPoststart(created: Created, spec: RuntimeSpec, warn: OciContext["warn"]): void {
  if ((spec.hooks?.poststart?.length ?? 0) === 0) return;
  try {
    runHooks("poststart", spec.hooks?.poststart, describeState(created.state, "running"));
  } catch (error) {
    deleteContainer(created, { force: true, spec, warn });
    throw error;
  }
}
