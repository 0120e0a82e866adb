import { messageOf } from "../base/error.ts";
import { toJson } from "./go-template/json.ts";
import { Template } from "./go-template/template.ts";
import { GoStruct, type Method, sortedKeys } from "./go-template/value.ts";
import { failure } from "./failure.ts";
import { layOut } from "./table.ts";

/** A list that a command prints: what its rows may show, and how. */
export interface Listing {
  /** Header of each field, by the field's name in templates. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fields of the table without `--format`. */
  readonly columns: readonly string[];
}

/** One row: its fields by name. Values are computed when they are asked for. */
export type Row = Readonly<Record<string, Method>>;

const TABLE = "table";

/** True when the format asks for a field: what must be fetched depends on it. */
export function mentions(format: string, field: string): boolean {
  return format.includes(`.${field}`) || format === "json" || format.includes("json .");
}

/** The table of a list without a format: no template is needed, and none is loaded. */
export function plainTable(listing: Listing, rows: readonly Row[]): string {
  const lines = [listing.columns.map((column) => listing.headers[column] ?? column).join("\t")];
  for (const row of rows)
    lines.push(listing.columns.map((column) => String(row[column]?.() ?? "")).join("\t"));
  return `${layOut(lines.join("\n"))}\n`;
}

/**
 * A list by `--format`: `table TEMPLATE` (with headers, in columns), `json` (one object a line), or a template for each row.
 *
 * @throws in docker's words
 */
export function formatList(format: string, listing: Listing, rows: readonly GoStruct[]): string {
  const isTable = format.startsWith(TABLE);
  const source = sourceOf(format);
  const template = compile(source);
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
function sourceOf(format: string): string {
  if (format === "json") return "{{json .}}";
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

function headerOf({ headers }: Listing): GoStruct {
  return new GoStruct("formatter.SubHeaderContext", { ...headers, Label: labelHeader });
}

/** `{{.Label "com.example.my-key"}}` heads its column with `my key`. */
function labelHeader(name: unknown): string {
  return (String(name).split(".").at(-1) ?? "").replaceAll(/[-_]/g, " ");
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
