import type { Command, Context } from "../../command.ts";
import { parseDetachKeys } from "../../detach-keys.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { followTerminalSize, proxySignals } from "../../session.ts";
import { connectTo, stayConnected } from "./connection.ts";
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
  examples: `# Back at a container's terminal; leave it again with ctrl-p ctrl-q
tiffin attach web
# Watch only: no input, no signals
tiffin attach --no-stdin --sig-proxy=false web`,
  flags: [detachKeys, noStdin, sigProxy],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  parseDetachKeys(given.get(detachKeys));
  const [name = ""] = given.operands;
  const container = await inspectContainer(context, name);
  checkState(container);
  const { Tty: tty, OpenStdin: openStdin } = container.Config;
  await checkTerminal(context, { AttachStdin: !given.get(noStdin), Tty: tty });
  if (given.get(sigProxy) && !tty) proxySignals(context, container.Id);
  const connection = await connectTo(context, container.Id, {
    stdin: !given.get(noStdin) && openStdin,
    stdout: true,
    stderr: true,
    tty,
    detachKeys: given.get(detachKeys),
    until: "not-running",
  });
  if (tty) void followTerminalSize(context.api, ["containers", container.Id], context.world);
  return stayConnected(connection);
}

function checkState({ State: state }: InspectedContainer): void {
  if (!state.Running) throw failure("You cannot attach to a stopped container, start it first");
  if (state.Paused) throw failure("You cannot attach to a paused container, unpause it first");
  if (state.Restarting) {
    throw failure("You cannot attach to a restarting container, wait until it is running");
  }
}
