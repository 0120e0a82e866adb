import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { demultiplex } from "../../demultiplex.ts";
import { text, toggle } from "../../flag.ts";
import { toTimestamp } from "../../timestamp.ts";
import { inspectContainer } from "./inspected.ts";

const details = toggle("details", "Show extra details provided to logs");
const follow = toggle("follow", "Follow log output", { short: "f" });
const since = text(
  "since",
  'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
);
const tail = text("tail", "Number of lines to show from the end of the logs", {
  short: "n",
  initial: "all",
});
const timestamps = toggle("timestamps", "Show timestamps", { short: "t" });
const until = text(
  "until",
  'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)',
);

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  summary: "Fetch the logs of a container",
  examples: `# The last lines, and what comes
tiffin logs -f --tail 100 web
# Of one hour, with times
tiffin logs -t --since 2026-11-24T06:00:00Z --until 2026-11-24T07:00:00Z web`,
  flags: [details, follow, since, tail, timestamps, until],
  operands: { exactly: 1 },
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const container = await inspectContainer(context, given.operands[0] ?? "");
  const query = {
    stdout: 1,
    stderr: 1,
    ...(given.get(since) === "" ? {} : { since: timestamp(given.get(since), "since") }),
    ...(given.get(until) === "" ? {} : { until: timestamp(given.get(until), "until") }),
    ...(given.get(timestamps) ? { timestamps: 1 } : {}),
    ...(given.get(details) ? { details: 1 } : {}),
    ...(given.get(follow) ? { follow: 1 } : {}),
    tail: given.get(tail),
  };
  const response = await context.api.request("GET", apiPath("containers", container.Id, "logs"), {
    query,
  });
  const { output } = context.world;
  if (container.Config.Tty) {
    for await (const chunk of response.body) await output.out(chunk);
  } else {
    await demultiplex(response.body, output);
  }
  const { LostLogBytes: lost = 0 } = container.State;
  if (lost > 0) {
    await context.warn(`WARNING: ${lost} bytes of this log were lost: there was no space for them`);
  }
  return 0;
}

function timestamp(value: string, name: string): string {
  return toTimestamp(value, `invalid value for "${name}"`);
}
