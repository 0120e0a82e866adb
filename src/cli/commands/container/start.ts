import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { describe, failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { followTerminalSize, openSession, proxySignals } from "../../session.ts";
import { waitForExit } from "./exit-status.ts";
import { inspectContainer } from "./inspected.ts";

const attach = toggle("attach", "Attach STDOUT/STDERR and forward signals", { short: "a" });
const interactive = toggle("interactive", "Attach container's STDIN", { short: "i" });
const detachKeys = text("detach-keys", "Override the key sequence for detaching a container");

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Start one or more stopped containers",
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
  const options = {
    stdin: context.arguments.get(interactive) && container.Config.OpenStdin,
    stdout: true,
    stderr: true,
    tty: container.Config.Tty,
    detachKeys: context.arguments.get(detachKeys),
  };
  if (!options.tty) proxySignals(context, id);
  const query = {
    stream: 1,
    stdout: 1,
    stderr: 1,
    ...(options.stdin ? { stdin: 1 } : {}),
    detachKeys: options.detachKeys || undefined,
  };
  const condition = container.HostConfig.AutoRemove ? "removed" : "next-exit";
  const [stream, exit] = await Promise.all([
    api.hijack("POST", apiPath("containers", id, "attach"), { query }),
    waitForExit(context, id, condition),
  ]);
  const session = await openSession(stream, options, world);
  try {
    await api.run("POST", apiPath("containers", id, "start"));
  } catch (error) {
    session.close();
    throw error;
  }
  if (options.tty) void followTerminalSize(api, ["containers", id], world);
  const end = await session.end;
  session.close();
  return end === "detached" ? 0 : exit.status;
}
