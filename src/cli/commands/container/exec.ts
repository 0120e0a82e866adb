import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { checkEnvironment, isInherited } from "../../container-options/checks.ts";
import { readKeyValueFile } from "../../container-options/key-values.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { failure, startFailureStatus, withExitStatus } from "../../failure.ts";
import { list, text, toggle } from "../../flag.ts";
import { followTerminalSize, openSession } from "../../session.ts";
import { terminalSize } from "../../terminal.ts";
import { checkTerminal } from "./terminal-check.ts";

const detach = toggle("detach", "Detached mode: run command in the background", { short: "d" });
const detachKeys = text("detach-keys", "Override the key sequence for detaching a container");
const env = list("env", "Set environment variables", {
  short: "e",
  check: (value) => checkEnvironment(value),
  local: isInherited,
});
const envFile = list("env-file", "Read in a file of environment variables", { local: true });
const interactive = toggle("interactive", "Keep STDIN open even if not attached", { short: "i" });
const privileged = toggle("privileged", "Give extended privileges to the command");
const timings = toggle("timings", "Print what each step of the start cost");
const tty = toggle("tty", "Allocate a pseudo-TTY", { short: "t" });
const user = text("user", 'Username or UID (format: "<name|uid>[:<group|gid>]")', { short: "u" });
const workdir = text("workdir", "Working directory inside the container", { short: "w" });

export const command: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  summary: "Execute a command in a running container",
  examples: `# A shell in a running container
tiffin exec -it web sh
# As another user, elsewhere, with a variable more
tiffin exec -u 1000 -w /srv -e DEBUG=1 web ./check
# Into a program, and out of it
tiffin exec -i db psql <dump.sql`,
  exitStatus: {
    "0-255": "that of the program; 128 and more: it was ended by signal N-128",
    "125": "the engine itself failed, or the command line is wrong",
    "126": "the program cannot be executed",
    "127": "the program is not there",
  },
  flags: [detach, detachKeys, env, envFile, interactive, privileged, timings, tty, user, workdir],
  operands: { atLeast: 2 },
  interspersed: false,
  inEngine: (given) => !given.get(interactive) && !given.get(tty),
  run,
};

interface ExecBody {
  readonly Tty: boolean;
  readonly AttachStdin: boolean;
  readonly AttachStdout: boolean;
  readonly AttachStderr: boolean;
  readonly [field: string]: unknown;
}

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  parseDetachKeys(given.get(detachKeys));
  const [name = ""] = given.operands;
  const body = execBody(context);
  if (!given.get(detach)) await checkTerminal(context, body);
  const size = body.Tty ? await terminalSize(context.world) : undefined;
  const consoleSize = size === undefined ? {} : { ConsoleSize: [size.rows, size.columns] };
  const created = await context.api.json("POST", apiPath("containers", name, "exec"), {
    body: { ...body, ...consoleSize },
  });
  const { Id: id } = created as { Id: string };
  const startBody = { Detach: given.get(detach), Tty: body.Tty, ...consoleSize };
  try {
    if (given.get(detach)) {
      await context.api.run("POST", apiPath("exec", id, "start"), {
        body: startBody,
        query: timingsQuery(context),
      });
      await showTimings(context, id);
      return 0;
    }
    const status = await runAttached(context, id, { body, startBody });
    await showTimings(context, id);
    return status;
  } catch (error) {
    const status = startFailureStatus(error);
    // Only the program itself decides about 126 and 127; what else fails is docker's 1.
    throw status === 125 ? error : withExitStatus(error, status);
  }
}

function timingsQuery(context: Context): { timings?: number } {
  return context.arguments.get(timings) ? { timings: 1 } : {};
}

async function showTimings(context: Context, id: string): Promise<void> {
  if (!context.arguments.get(timings)) return;
  const { showExecTimings } = await import("./plan.ts");
  await showExecTimings(context, id);
}

function execBody(context: Context): ExecBody {
  const given = context.arguments;
  const isAttached = !given.get(detach);
  const fromFiles = given
    .get(envFile)
    .flatMap((file) => readKeyValueFile(file, (key) => process.env[key]));
  return {
    User: given.get(user),
    Privileged: given.get(privileged),
    Tty: given.get(tty),
    AttachStdin: isAttached && given.get(interactive),
    AttachStdout: isAttached,
    AttachStderr: isAttached,
    DetachKeys: given.get(detachKeys),
    Env: [...fromFiles, ...given.get(env)],
    WorkingDir: given.get(workdir),
    Cmd: given.operands.slice(1),
  };
}

async function runAttached(
  context: Context,
  id: string,
  { body, startBody }: { body: ExecBody; startBody: Readonly<Record<string, unknown>> },
): Promise<number> {
  const stream = await context.api.hijack("POST", apiPath("exec", id, "start"), {
    body: startBody,
    query: timingsQuery(context),
  });
  const options = {
    stdin: body.AttachStdin,
    stdout: true,
    stderr: true,
    tty: body.Tty,
    detachKeys: context.arguments.get(detachKeys),
  };
  const session = await openSession(stream, options, context.world);
  if (body.Tty) void followTerminalSize(context.api, ["exec", id], context.world);
  const end = await session.end;
  session.close();
  if (end === "detached") return 0;
  const inspected = (await context.api.json("GET", apiPath("exec", id, "json"))) as {
    Running: boolean;
    ExitCode: number | null;
  };
  if (inspected.ExitCode === null) throw failure("tiffin: The command's exit status is not known");
  return inspected.ExitCode;
}
