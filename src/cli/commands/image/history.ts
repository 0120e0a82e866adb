import { humanDuration } from "../../../base/duration.ts";
import { humanSize } from "../../../base/size.ts";
import { imagePath } from "../../image-path.ts";
import { platformQuery } from "../../platform-query.ts";
import type { Command, Context } from "../../command.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { idLines, type Listing, plainTable, type Row } from "../../listing.ts";
import { ellipsis } from "../../table.ts";
import { rfc3339Nano } from "../../time.ts";

const format = text("format", FORMAT_HELP);
const human = toggle("human", "Print sizes and dates in human readable format", {
  short: "H",
  initial: true,
});
const noTrunc = toggle("no-trunc", "Don't truncate output");
const platform = text(
  "platform",
  'Show history for the given platform. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")',
);
const quiet = toggle("quiet", "Only show image IDs", { short: "q" });

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  summary: "Show the history of an image",
  examples: `# What each layer of an image is from, in full
tiffin history --no-trunc nginx`,
  flags: [format, human, noTrunc, platform, quiet],
  operands: { exactly: 1 },
  inEngine: () => true,
  run,
};

interface Step {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
}

const LISTING: Listing = {
  headers: {
    ID: "IMAGE",
    CreatedSince: "CREATED",
    CreatedAt: "CREATED AT",
    CreatedBy: "CREATED BY",
    Size: "SIZE",
    Comment: "COMMENT",
  },
  columns: ["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
  raw: [],
};

/** docker's width of what made a step. */
const CREATED_BY_WIDTH = 45;
const SHORT_ID = 12;
/** 2000-01-01: builds that can be repeated have such dates, which tell nothing. */
const EPOCH_SECONDS = 946_684_800;

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [name = ""] = given.operands;
  const steps = (await context.api.json("GET", imagePath(name, "history"), {
    query: platformQuery(given.get(platform)),
  })) as Step[];
  const isHuman = given.get(human);
  const rows = steps.map((step) => rowOf(step, { isHuman, isWhole: given.get(noTrunc) }));
  const chosen = given.get(format);
  const { output } = context.world;
  if (chosen !== "" && chosen !== "table") {
    const { formatList, structOf } = await import("../../format-list.ts");
    const structs = rows.map((row) => structOf("*image.historyContext", row));
    await output.out(formatList(chosen, LISTING, structs));
  } else if (given.get(quiet)) {
    await output.out(idLines(rows));
  } else {
    const columns = LISTING.columns.map((column) =>
      column === "CreatedSince" && !isHuman ? "CreatedAt" : column,
    );
    await output.out(plainTable({ ...LISTING, columns }, rows));
  }
  return 0;
}

function rowOf(step: Step, options: { isHuman: boolean; isWhole: boolean }): Row {
  const { isHuman, isWhole } = options;
  const createdAt = (): string =>
    rfc3339Nano(BigInt(step.Created) * 1_000_000_000n).replace(/\.\d+/, "");
  const createdSince = (): string => {
    if (!isHuman) return createdAt();
    if (step.Created <= EPOCH_SECONDS) return "N/A";
    return `${humanDuration(Date.now() / 1000 - step.Created)} ago`;
  };
  const createdBy = step.CreatedBy.replaceAll("\t", " ");
  return {
    ID: () => (isWhole ? step.Id : step.Id.replace(/^sha256:/, "").slice(0, SHORT_ID)),
    CreatedAt: createdAt,
    CreatedSince: createdSince,
    CreatedBy: () => (isWhole ? createdBy : ellipsis(createdBy, CREATED_BY_WIDTH)),
    Size: () => (isHuman ? humanSize(step.Size, 3) : String(step.Size)),
    Comment: () => step.Comment,
  };
}
