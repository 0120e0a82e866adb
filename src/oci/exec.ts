import { readFileSync, writeFileSync } from "node:fs";
import { invalidArgument, TiffinError } from "../base/error.ts";
import { closeFd, openProcess } from "../kernel/process.ts";
import { launcherExecutable } from "../launch/launcher-executable.ts";
import { startProgram } from "../launch/run-program.ts";
import { planAddedProcess } from "./added-process.ts";
import { parseProcess, parseSpec } from "./bundle.ts";
import { type CommandLine, parseCommandLine } from "./command-line.ts";
import { type OciCommand, type OciContext, readPreserveFds } from "./commands.ts";
import { describeState, statusOf } from "./container-status.ts";
import { planExec } from "./plan-exec.ts";
import type { RuntimeSpec, SpecProcess } from "../base/runtime-spec.ts";
import { sendListener } from "./seccomp-listener.ts";
import { StateDirectory, type StoredState } from "./state-directory.ts";

const FLAGS = {
  "console-socket": "value",
  "pidfd-socket": "value",
  cwd: "value",
  "env|e": "list",
  "tty|t": "switch",
  "user|u": "value",
  "additional-gids|g": "list",
  "process|p": "value",
  "detach|d": "switch",
  "pid-file": "value",
  "process-label": "value",
  apparmor: "value",
  "no-new-privs": "switch",
  "cap|c": "list",
  "preserve-fds": "value",
  "ignore-paused": "switch",
} as const;

/** One more process in a running container, with runc's flags. */
export const exec: OciCommand = async (words, context) => {
  const line = parseCommandLine(words, FLAGS);
  const [id = "", ...command] = line.operands;
  const processFile = line.value("process");
  if (id === "" || (command.length === 0) === (processFile === undefined)) {
    throw invalidArgument("Wrong arguments: usage: exec [OPTIONS] CONTAINER COMMAND [ARG...]");
  }
  const directory = StateDirectory.open(context.root, id);
  const state = directory.read();
  checkRunning(directory, state, line.has("ignore-paused"));
  const container = parseSpec(directory.readConfig());
  const process =
    processFile === undefined
      ? processOf(line, container, command)
      : withFlags(parseProcess(readFileSync(processFile, "utf8")), line);
  return launch({ line, context, state, container, process });
};

function checkRunning(directory: StateDirectory, state: StoredState, ignorePaused: boolean): void {
  const status = statusOf(directory, state);
  if (status === "created" || status === "running" || (status === "paused" && ignorePaused)) return;
  throw new TiffinError(
    "conflict",
    `Cannot exec in container "${state.id}": cannot exec in a ${status} container`,
    status === "paused" ? { hint: "Use --ignore-paused" } : {},
  );
}

function withFlags(process: SpecProcess, line: CommandLine): SpecProcess {
  return line.has("tty") ? { ...process, terminal: true } : process;
}

/** The container's own process with another command, and what the flags say. */
function processOf(line: CommandLine, container: RuntimeSpec, args: string[]): SpecProcess {
  const own = container.process ?? { cwd: "/" };
  const { oomScoreAdj, ...kept } = own;
  const added = line.list("cap");
  const capabilities = { ...own.capabilities };
  for (const set of ["bounding", "effective", "permitted"] as const) {
    capabilities[set] = [...(capabilities[set] ?? []), ...added];
  }
  const apparmor = line.value("apparmor");
  const label = line.value("process-label");
  return {
    ...kept,
    ...(oomScoreAdj === undefined ? {} : { oomScoreAdj }),
    args,
    terminal: line.has("tty"),
    cwd: line.value("cwd") ?? own.cwd,
    env: [...(own.env ?? []), ...line.list("env")],
    user: userOf(line, own),
    capabilities,
    noNewPrivileges: line.has("no-new-privs") || own.noNewPrivileges === true,
    ...(apparmor === undefined ? {} : { apparmorProfile: apparmor }),
    ...(label === undefined ? {} : { selinuxLabel: label }),
  };
}

function userOf(line: CommandLine, own: SpecProcess): NonNullable<SpecProcess["user"]> {
  const written = line.value("user");
  const gids = line.list("additional-gids").map(Number);
  const additionalGids = [...(own.user?.additionalGids ?? []), ...gids];
  if (written === undefined) return { ...own.user, additionalGids };
  const [, uid, , gid] = /^(\d+)(:(\d+))?$/.exec(written) ?? [];
  if (uid === undefined) throw invalidArgument(`Cannot use the user ${written}: use UID[:GID]`);
  return {
    ...own.user,
    additionalGids,
    uid: Number(uid),
    gid: gid === undefined ? (own.user?.gid ?? 0) : Number(gid),
  };
}

async function launch(options: {
  readonly line: CommandLine;
  readonly context: OciContext;
  readonly state: StoredState;
  readonly container: RuntimeSpec;
  readonly process: SpecProcess;
}): Promise<number> {
  const { line, context, state, container, process } = options;
  const isDetached = line.has("detach");
  const socket = line.value("console-socket");
  const showsTerminal = process.terminal === true && socket === undefined;
  if (showsTerminal && isDetached) {
    throw invalidArgument("Cannot exec detached with a terminal: give a --console-socket");
  }
  const foreground = isDetached ? undefined : await import("./run-process.ts");
  const console = showsTerminal ? foreground?.ownConsole() : undefined;
  const preserveFds = readPreserveFds(line.value("preserve-fds"));
  const planned = planAddedProcess(state, container, process, {
    consoleSocket: console ? "inherited" : socket === undefined ? undefined : { path: socket },
    preserveFds,
    warn: context.warn,
  });
  const pidfd = openProcess(state.pid);
  if (pidfd === undefined) throw new TiffinError("conflict", "Cannot exec: it has ended");
  const program = startProgram({
    executable: launcherExecutable(),
    plan: planExec(planned),
    name: `tiffin-oci-${state.id.slice(0, 8)}`,
    streams: [0, 1, 2],
    inherited: [
      pidfd,
      ...(console ? [console.theirs] : []),
      ...Array.from({ length: preserveFds }, (_, index) => 3 + index),
    ],
  });
  closeFd(pidfd);
  const { notify } = planned.seccomp;
  if (notify !== undefined) {
    const pid = program.stage();
    sendListener(notify, pid, program.stage(), describeState(state, "running"));
    program.goOn();
  }
  const pid = program.stage();
  program.close();
  const terminal = console?.take();
  if (console) closeFd(console.theirs);
  const pidFile = line.value("pid-file");
  if (pidFile !== undefined) writeFileSync(pidFile, String(pid));
  return foreground === undefined ? 0 : foreground.waitInForeground(pid, terminal);
}
