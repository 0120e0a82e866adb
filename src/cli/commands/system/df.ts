import { messageOf } from "../../../base/error.ts";
import { humanSize } from "../../../base/size.ts";
import type { Command, Context } from "../../command.ts";
import { failure } from "../../failure.ts";
import { text, toggle } from "../../flag.ts";
import { FORMAT_HELP } from "../../format-help.ts";
import { type Listing, plainTable, type Row } from "../../listing.ts";
import { CONTAINER_LISTING, containerRow } from "../container/container-row.ts";
import { IMAGE_LISTING, imageRows } from "../image/image-row.ts";
import { VOLUME_LISTING, volumeRow } from "../volume/volume-row.ts";
import { CACHE_LISTING, cacheRow, type DiskUsage, USAGE_LISTING, usageRows } from "./df-row.ts";

const format = text("format", FORMAT_HELP);
const verbose = toggle("verbose", "Show detailed information on space usage", { short: "v" });

export const command: Command = {
  usage: "[OPTIONS]",
  summary: "Show disk usage",
  examples: `# How much space is used, and by what
tiffin system df
tiffin system df -v`,
  flags: [format, verbose],
  operands: { exactly: 0 },
  inEngine: () => true,
  run,
};

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const chosen = given.get(format);
  const isTable = chosen === "" || chosen === "table";
  const usage = (await context.api.json("GET", "/system/df")) as DiskUsage;
  const { output } = context.world;
  if (given.get(verbose)) {
    const things = details(usage, isTable);
    await output.out(isTable ? tables(things, usage) : await formatted(chosen, things));
    return 0;
  }
  const rows = usageRows(usage);
  if (isTable) {
    await output.out(plainTable(USAGE_LISTING, rows));
    return 0;
  }
  const { formatList, structOf } = await import("../../format-list.ts");
  const structs = rows.map((row) => structOf("*formatter.diskUsageContext", row));
  await output.out(formatList(chosen, USAGE_LISTING, structs));
  return 0;
}

/** The rows by what they are of, by docker's names in templates. */
interface Details {
  readonly Images: readonly Row[];
  readonly Containers: readonly Row[];
  readonly Volumes: readonly Row[];
  readonly BuildCache: readonly Row[];
}

function details(usage: DiskUsage, truncate: boolean): Details {
  const options = { truncate, digests: true, needDigest: false };
  return {
    // One row each, by its first name.
    Images: (usage.Images ?? []).flatMap((image) => imageRows(image, options).slice(0, 1)),
    // The image's size is told above.
    Containers: (usage.Containers ?? []).map((container) =>
      containerRow({ ...container, SizeRootFs: 0 }, truncate),
    ),
    Volumes: (usage.Volumes ?? []).map(volumeRow),
    BuildCache: (usage.BuildCache ?? []).map((cache) => cacheRow(cache, truncate)),
  };
}

const IMAGE_COLUMNS = [
  "Repository",
  "Tag",
  "ID",
  "CreatedSince",
  "Size",
  "SharedSize",
  "UniqueSize",
  "Containers",
];
const CONTAINER_COLUMNS = [
  "ID",
  "Image",
  "Command",
  "LocalVolumes",
  "Size",
  "RunningFor",
  "Status",
  "Names",
];

function tables({ Images, Containers, Volumes, BuildCache }: Details, usage: DiskUsage): string {
  const table = (listing: Listing, columns: readonly string[], rows: readonly Row[]): string =>
    plainTable({ ...listing, columns }, rows);
  const cacheBytes = (usage.BuildCache ?? []).reduce((sum, { Size }) => sum + Size, 0);
  return [
    `Images space usage:\n\n${table(IMAGE_LISTING, IMAGE_COLUMNS, Images)}`,
    `Containers space usage:\n\n${table(CONTAINER_LISTING, CONTAINER_COLUMNS, Containers)}`,
    `Local Volumes space usage:\n\n${table(VOLUME_LISTING, ["Name", "Links", "Size"], Volumes)}`,
    `Build cache usage: ${humanSize(cacheBytes)}\n\n${plainTable(CACHE_LISTING, BuildCache)}`,
    ...blobs(usage),
  ].join("\n");
}

/** Docker counts unpacked layers alone. */
function blobs({ TiffinBlobs: bytes }: DiskUsage): string[] {
  if (bytes === undefined || bytes.Stored + bytes.Unfinished === 0) return [];
  const kept = humanSize(bytes.Stored);
  const unfinished = humanSize(bytes.Unfinished);
  return [
    `Kept beside the images' files: ${kept} as they came (layers, documents), ${unfinished} of unfinished downloads\n`,
  ];
}

/** One template over all: docker's, without a newline at the end. */
async function formatted(source: string, things: Details): Promise<string> {
  const { Template } = await import("../../go-template/template.ts");
  const { GoStruct } = await import("../../go-template/value.ts");
  const { structOf } = await import("../../format-list.ts");
  const structs = Object.entries(things).map(([name, rows]: [string, readonly Row[]]) => [
    name,
    rows.map((row) => structOf("*formatter.row", row)),
  ]);
  try {
    const template = new Template(source === "json" ? "{{json .}}" : source);
    return template.run(new GoStruct("*formatter.diskUsageContext", Object.fromEntries(structs)));
  } catch (error) {
    throw failure(`template parsing error: ${messageOf(error)}`);
  }
}
