import { messageOf } from "../base/error.ts";
import { failure } from "./failure.ts";
import { toJson } from "./go-template/json.ts";
import { Template } from "./go-template/template.ts";
import { GoStruct, sortedKeys } from "./go-template/value.ts";
import type { Listing, Row } from "./listing.ts";
import { layOut } from "./table.ts";

const TABLE = "table";

/**
 * A list by `--format`: `table TEMPLATE` (with headers, in columns), `json` (one object a line), or a template for each row.
 *
 * @throws in docker's words
 */
export function formatList(format: string, listing: Listing, rows: readonly GoStruct[]): string {
  const isTable = format.startsWith(TABLE);
  const template = compile(sourceOf(format, listing));
  const lines: string[] = [];
  for (const row of rows) {
    try {
      lines.push(template.run(row));
    } catch (error) {
      throw failure(`template parsing error: ${messageOf(error)}`);
    }
  }
  if (!isTable) return lines.map((line) => `${line}\n`).join("");
  const header = template.runPartly(headerOf(listing), { asHeader: true }).text;
  return `${layOut([header, ...lines].join("\n"))}\n`;
}

/** The template in a format, with docker's two escapes made characters. */
function sourceOf(format: string, listing: Listing): string {
  if (format === "json") return "{{json .}}";
  if (format === "raw") {
    // No space ends a line whose field is empty.
    return listing.raw.map(([word, field]) => `${word}:{{- pad .${field} 1 0}}\n`).join("");
  }
  const source = format.startsWith(TABLE) ? format.slice(TABLE.length) : format;
  return source
    .replace(/^ +| +$/g, "")
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
}

function compile(source: string): Template {
  try {
    return new Template(source);
  } catch (error) {
    throw failure(`template parsing error: ${messageOf(error)}`);
  }
}

/** The header is the template run on the fields' headers: a map, so that a field without one is `<no value>`. */
function headerOf({ headers }: Listing): GoStruct {
  return new GoStruct("formatter.SubHeaderContext", { ...headers, Label: labelHeader });
}

/** `{{.Label "com.example.my-key"}}` heads its column with `my key`. */
function labelHeader(name: unknown): string {
  const key = typeof name === "string" ? name : "";
  return (key.split(".").at(-1) ?? "").replaceAll(/[-_]/g, " ");
}

/** A row as templates see it: each field a method, and all those without arguments in its JSON, sorted. */
export function structOf(typeName: string, row: Row): GoStruct {
  const marshal = (): string => {
    const plain: Record<string, unknown> = {};
    for (const key of sortedKeys(row)) if (row[key]?.length === 0) plain[key] = row[key]();
    return toJson(plain, { escapeHtml: true });
  };
  return new GoStruct(typeName, { ...row, MarshalJSON: marshal });
}
