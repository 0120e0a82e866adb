import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text } from "../../flag.ts";

const format = text("format", "Format output: 'json', or lines without it");

export const command: Command = {
  usage: "[OPTIONS] PORT[/PROTO]",
  summary: "Show which way a packet takes to a port of the host, and what stops it",
  examples: `# Why nothing answers there
tiffin network trace 8080`,
  exitStatus: {
    "0": "it is reached, as far as can be told",
    "1": "it is not reached, or no container publishes it",
  },
  flags: [format],
  operands: { exactly: 1 },
  inEngine: () => true,
  run,
};

interface Trace {
  readonly Verdict: "reached" | "not reached" | "unsure" | "not published";
  readonly Reason: string;
  readonly Hint: string;
  readonly Steps: readonly { readonly State: "ok" | "bad" | "unsure"; readonly Text: string }[];
}

const SIGN = { ok: "ok", bad: "NO", unsure: "?" } as const;

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const kind = given.get(format);
  if (kind !== "" && kind !== "json") throw failure(`invalid format: ${kind}: want json`);
  const [port = ""] = given.operands;
  const query = { port };
  const trace = (await context.api.json("GET", "/tiffin/network/trace", { query })) as Trace;
  if (kind === "json") {
    await context.print(JSON.stringify(trace));
  } else {
    for (const { State, Text } of trace.Steps) {
      await context.print(`${SIGN[State].padEnd(3)} ${Text}`);
    }
    await context.print(`${trace.Verdict}: ${trace.Reason}`);
    if (trace.Hint !== "") await context.print(`hint: ${trace.Hint}`);
  }
  return trace.Verdict === "reached" || trace.Verdict === "unsure" ? 0 : 1;
}
