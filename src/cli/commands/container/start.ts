import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { describe, failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { followTerminalSize, proxySignals } from "../../session.ts";
import { connectTo, stayConnected } from "./connection.ts";
import { inspectContainer } from "./inspected.ts";

const attach = toggle("attach", "Attach STDOUT/STDERR and forward signals", { short: "a" });
const interactive = toggle("interactive", "Attach container's STDIN", { short: "i" });
const detachKeys = text("detach-keys", "Override the key sequence for detaching a container");

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start one or more stopped containers",
  examples: `# Again, and see what it says
tiffin start -a web`,
  exitStatus: {
    "0": "all are started; with --attach that of the program",
    "1": "one could not be started",
  },
  flags: [attach, interactive, detachKeys],
  operands: { atLeast: 1 },
  inEngine: (given) => !given.get(attach) && !given.get(interactive),
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  parseDetachKeys(given.get(detachKeys));
  if (!given.get(attach) && !given.get(interactive)) return startAll(context);
  if (given.operands.length > 1) {
    throw failure("you cannot start and attach multiple containers at once");
  }
  return startAttached(context, given.operands[0] ?? "");
}

async function startAll(context: Context): Promise<number> {
  const failed: string[] = [];
  for (const name of context.arguments.operands) {
    try {
      await context.api.run("POST", apiPath("containers", name, "start"));
      await context.print(name);
    } catch (error) {
      await context.warn(describe(error));
      failed.push(name);
    }
  }
  if (failed.length > 0) throw failure(`Error: failed to start containers: ${failed.join(", ")}`);
  return 0;
}

async function startAttached(context: Context, name: string): Promise<number> {
  const { api, world } = context;
  const container = await inspectContainer(context, name);
  const id = container.Id;
  const { Tty: tty, OpenStdin: openStdin } = container.Config;
  if (!tty) proxySignals(context, id);
  const connection = await connectTo(context, id, {
    stdin: context.arguments.get(interactive) && openStdin,
    stdout: true,
    stderr: true,
    tty,
    detachKeys: context.arguments.get(detachKeys),
    until: container.HostConfig.AutoRemove ? "removed" : "next-exit",
  });
  try {
    await api.run("POST", apiPath("containers", id, "start"));
  } catch (error) {
    connection.close();
    throw error;
  }
  if (tty) void followTerminalSize(api, ["containers", id], world);
  return stayConnected(connection);
}
