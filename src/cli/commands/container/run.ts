import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { choosesStreams, takesInput } from "../../container-options/process.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { failure, startFailureStatus, withExitStatus } from "../../failure.ts";
import type { Arguments } from "../../grammar.ts";
import { type Flag, text, toggle } from "../../flag.ts";
import { followTerminalSize, proxySignals } from "../../session.ts";
import { connectTo, stayConnected } from "./connection.ts";
import {
  CREATION_FLAGS,
  createContainer,
  mayRunInEngine,
  readWanted,
  type Wanted,
  withImage,
} from "./creation.ts";
import { checkTerminal } from "./terminal-check.ts";

const detach = toggle("detach", "Run container in background and print container ID", {
  short: "d",
});
const detachKeys = text("detach-keys", "Override the key sequence for detaching a container");
const sigProxy = toggle("sig-proxy", "Proxy received signals to the process", { initial: true });
const explain = toggle("explain", "Print the plan, each system call with its reason, then run it");
const dryRun = toggle("dry-run", "Print the plan and do nothing");
const timings = toggle("timings", "Print what each step of the start cost");
const format = text("format", 'How --dry-run prints the plan: "json", or text when it is empty');

const OWN_FLAGS: readonly Flag[] = [detach, detachKeys, sigProxy, explain, dryRun, timings, format];

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  summary: "Create and run a new container from an image",
  examples: `# A program with a terminal; nothing is left of it
tiffin run --rm -it debian bash
# In the background, with a name, a port, a limit and a volume
tiffin run -d --name web -p 8080:80 --memory 256m -v site:/srv nginx
# On your files, and what it makes is yours
tiffin run --rm -v "$PWD":/work:me -w /work node npm test
# Each system call and its reason; the same without doing it; what each costs
tiffin run --explain --rm hello
tiffin run --dry-run --rm hello
tiffin run --timings --rm hello`,
  exitStatus: {
    "0-255": "that of the program; 128 and more: it was ended by signal N-128",
    "125": "the engine itself failed, or the command line is wrong",
    "126": "the program cannot be executed",
    "127": "the program is not there",
  },
  flags: [...CREATION_FLAGS, ...OWN_FLAGS],
  operands: { atLeast: 1 },
  interspersed: false,
  inEngine: (given) => mayRunInEngine(given) && (given.get(detach) || !takesInput(given)),
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const wanted = forDetached(readWanted(context, "run"), given);
  parseDetachKeys(given.get(detachKeys));
  if (given.get(dryRun) || given.get(explain)) {
    const plan = await import("./plan.ts");
    const shown = { asJson: given.get(format) === "json", only: given.get(dryRun) };
    const show = (): Promise<void> => plan.showPlan(context, wanted, shown);
    // A dry run does nothing, and pulls nothing.
    await orStatus(shown.only ? show() : withImage(context, wanted, show));
    if (given.get(dryRun)) return 0;
  }
  if (!given.get(detach)) await checkTerminal(context, wanted.body);
  const id = await orStatus(createContainer(context, wanted));
  return wanted.body.AttachStdin || wanted.body.AttachStdout || wanted.body.AttachStderr
    ? runAttached(context, wanted, id)
    : runDetached(context, id);
}

function forDetached(wanted: Wanted, given: Arguments): Wanted {
  if (!given.get(detach)) return wanted;
  if (choosesStreams(given)) {
    throw failure("conflicting options: cannot specify both --attach and --detach");
  }
  const streams = {
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    StdinOnce: false,
  };
  return { ...wanted, body: { ...wanted.body, ...streams } };
}

/** A failure before the program runs has an exit status of its own. */
async function orStatus<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw withExitStatus(error, startFailureStatus(error));
  }
}

async function runDetached(context: Context, id: string): Promise<number> {
  await start(context, id);
  await context.print(id);
  return 0;
}

/** Attach and wait are in place before the start, so that no output and no exit is missed. */
async function runAttached(context: Context, wanted: Wanted, id: string): Promise<number> {
  const { api, world } = context;
  const { body } = wanted;
  if (context.arguments.get(sigProxy)) proxySignals(context, id);
  const isRemoved = body.HostConfig["AutoRemove"] === true;
  const connection = await connectTo(context, id, {
    stdin: body.AttachStdin,
    stdout: body.AttachStdout,
    stderr: body.AttachStderr,
    tty: body.Tty,
    detachKeys: context.arguments.get(detachKeys),
    until: isRemoved ? "removed" : "next-exit",
  });
  try {
    await start(context, id);
  } catch (error) {
    connection.close();
    if (isRemoved) await connection.status.catch(() => undefined);
    throw error;
  }
  if (body.Tty) void followTerminalSize(api, ["containers", id], world);
  return stayConnected(connection);
}

async function start(context: Context, id: string): Promise<void> {
  if (context.arguments.get(timings)) {
    const plan = await import("./plan.ts");
    await orStatus(plan.startWithTimings(context, id));
  } else {
    await orStatus(context.api.run("POST", apiPath("containers", id, "start")));
  }
}
