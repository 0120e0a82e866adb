import { apiPath } from "../../../api/client.ts";
import type { Command, Context } from "../../command.ts";
import { layOut } from "../../table.ts";

/** docker's layout of this one table. */
const LAYOUT = { minimum: 20, padding: 3 };

export const command: Command = {
  usage: "CONTAINER [ps OPTIONS]",
  summary: "Display the running processes of a container",
  examples:
    "# Its processes, as ps shows them on the host\ntiffin top web\ntiffin top web -o pid,user,args\ntiffin top web aux",
  flags: [],
  operands: { atLeast: 1 },
  interspersed: false,
  inEngine: () => true,
  run,
};

interface ProcessTable {
  readonly Titles: readonly string[];
  readonly Processes: readonly (readonly string[])[] | null;
}

async function run(context: Context): Promise<number> {
  const [name = "", ...psOptions] = context.arguments.operands;
  const query = psOptions.length === 0 ? {} : { ps_args: psOptions.join(" ") };
  const answer = await context.api.json("GET", apiPath("containers", name, "top"), { query });
  const { Titles: titles, Processes: processes } = answer as ProcessTable;
  const lines = [titles, ...(processes ?? [])].map((cells) => cells.join("\t"));
  await context.print(layOut(lines.join("\n"), LAYOUT));
  return 0;
}
