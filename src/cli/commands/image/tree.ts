import { humanSize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { layOut } from "../../table.ts";

export const command: Command = {
  usage: "",
  summary: "Show the layers by size, and which images share them",
  examples: `# What takes the space, and who else needs it
tiffin image tree`,
  flags: [],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

interface LayerRow {
  readonly DiffID: string;
  readonly Size: number;
  readonly Images: readonly { readonly Id: string; readonly Name: string }[];
}

const SHORT_ID = 12;

async function run(context: Context): Promise<number> {
  const layers = (await context.api.json("GET", "/tiffin/images/layers")) as LayerRow[];
  const rows = layers.map(({ DiffID, Size, Images }) =>
    [
      DiffID.replace(/^sha256:/, "").slice(0, SHORT_ID),
      humanSize(Size),
      String(Images.length),
      Images.map(({ Name }) => Name).join(", "),
    ].join("\t"),
  );
  await context.print(layOut(["LAYER\tSIZE\tIMAGES\tUSED BY", ...rows].join("\n")));
  return 0;
}
