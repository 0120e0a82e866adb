import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { aliasOf, integer, text } from "../../flag.ts";
import { forEachOperand } from "./parallel.ts";

const signal = text("signal", "Signal to send to the container", { short: "s" });
const timeout = integer("timeout", "Seconds to wait before killing the container", { short: "t" });
const time = aliasOf(timeout, "time", "use --timeout instead");

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  summary: "Stop one or more running containers",
  flags: [signal, timeout, time],
  operands: { atLeast: 1 },
  inEngine: () => true,
  run,
};

function run(context: Context): Promise<number> {
  const given = context.arguments;
  const query = {
    ...(given.get(signal) === "" ? {} : { signal: given.get(signal) }),
    ...(given.has(timeout) ? { t: given.get(timeout) } : {}),
  };
  return forEachOperand(context, (name) =>
    context.api.run("POST", apiPath("containers", name, "stop"), { query }),
  );
}
