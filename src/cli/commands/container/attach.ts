import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { followTerminalSize, openSession, proxySignals } from "../../session.ts";
import { waitForExit } from "./exit-status.ts";
import { inspectContainer, type InspectedContainer } from "./inspected.ts";
import { checkTerminal } from "./terminal-check.ts";

const detachKeys = text("detach-keys", "Override the key sequence for detaching a container");
const noStdin = toggle("no-stdin", "Do not attach STDIN");
const sigProxy = toggle("sig-proxy", "Proxy all received signals to the process", {
  initial: true,
});

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Attach local standard input, output, and error streams to a running container",
  flags: [detachKeys, noStdin, sigProxy],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  parseDetachKeys(given.get(detachKeys));
  const { api, world } = context;
  const [name = ""] = given.operands;
  const container = await inspectContainer(context, name);
  checkState(container);
  const { Tty: tty, OpenStdin: openStdin } = container.Config;
  await checkTerminal(context, { AttachStdin: !given.get(noStdin), Tty: tty });
  const options = {
    stdin: !given.get(noStdin) && openStdin,
    stdout: true,
    stderr: true,
    tty,
    detachKeys: given.get(detachKeys),
  };
  const query = {
    stream: 1,
    stdout: 1,
    stderr: 1,
    ...(options.stdin ? { stdin: 1 } : {}),
    detachKeys: options.detachKeys || undefined,
  };
  if (given.get(sigProxy) && !tty) proxySignals(context, container.Id);
  const [stream, exit] = await Promise.all([
    api.hijack("POST", apiPath("containers", container.Id, "attach"), { query }),
    waitForExit(context, container.Id, "not-running"),
  ]);
  const session = await openSession(stream, options, world);
  if (tty) void followTerminalSize(api, ["containers", container.Id], world);
  const end = await session.end;
  session.close();
  return end === "detached" ? 0 : exit.status;
}

function checkState({ State: state }: InspectedContainer): void {
  if (!state.Running) throw failure("cannot attach to a stopped container, start it first");
  if (state.Paused) throw failure("cannot attach to a paused container, unpause it first");
  if (state.Restarting) {
    throw failure("cannot attach to a restarting container, wait until it is running");
  }
}
