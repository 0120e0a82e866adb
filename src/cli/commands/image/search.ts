import type { Command, Context } from "../../command.ts";
import { filterFlag, filtersQuery } from "../../filter.ts";
import { integer, text, toggle } from "../../flag.ts";
import { type Listing, plainTable, type Row } from "../../listing.ts";
import { registryAuthHeader } from "../../registry-login/registry-auth.ts";
import { ellipsis } from "../../table.ts";
import { serverOf } from "../system/login.ts";

const filter = filterFlag("Filter output based on conditions provided");
const format = text("format", "Pretty-print search using a Go template");
const limit = integer("limit", "Max number of search results");
const noTrunc = toggle("no-trunc", "Don't truncate output");

export const command: Command = {
  usage: "[OPTIONS] TERM",
  summary: "Search Docker Hub, or another registry, for images",
  examples: `# Official images with a word in their name
tiffin search --filter is-official=true postgres
# In a registry of one's own
tiffin search registry.example:5000/app`,
  flags: [filter, format, limit, noTrunc],
  operands: { exactly: 1 },
  run,
};

/** An entry of GET /images/search. */
interface Found {
  readonly name: string;
  readonly description: string;
  readonly star_count: number;
  readonly is_official: boolean;
}

const LISTING: Listing = {
  headers: {
    Name: "NAME",
    Description: "DESCRIPTION",
    StarCount: "STARS",
    IsOfficial: "OFFICIAL",
  },
  columns: ["Name", "Description", "StarCount", "IsOfficial"],
  raw: [["name", "Name"]],
};
const DESCRIPTION_WIDTH = 45;

async function run(context: Context): Promise<number> {
  const given = context.arguments;
  const [term = ""] = given.operands;
  const first = term.includes("/") ? term.slice(0, term.indexOf("/")) : "";
  const isHost = first === "localhost" || /[.:]/.test(first);
  const headers = await registryAuthHeader(context.world, serverOf(isHost ? first : ""));
  const wanted = given.get(limit);
  const query = {
    term,
    ...(wanted === 0 ? {} : { limit: wanted }),
    ...filtersQuery(given.get(filter)),
  };
  const found = (await context.api.json("GET", "/images/search", { query, headers })) as Found[];
  const rows = found.map((one) => foundRow(one, !given.get(noTrunc)));
  const chosen = given.get(format);
  if (chosen === "" || chosen === "table") {
    await context.world.output.out(plainTable(LISTING, rows));
    return 0;
  }
  const { formatList, structOf } = await import("../../format-list.ts");
  const structs = rows.map((row) => structOf("*registry.searchContext", row));
  await context.world.output.out(formatList(chosen, LISTING, structs));
  return 0;
}

function foundRow(found: Found, truncate: boolean): Row {
  const description = found.description.replaceAll(/[\r\n]/g, " ");
  return {
    Name: () => found.name,
    Description: () => (truncate ? ellipsis(description, DESCRIPTION_WIDTH) : description),
    StarCount: () => String(found.star_count),
    IsOfficial: () => (found.is_official ? "[OK]" : ""),
  };
}
