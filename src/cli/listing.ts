import { layOut } from "./table.ts";

/** A list that a command prints: what its rows may show, and how. */
export interface Listing {
  /** Header of each field, by the field's name in templates. */
  readonly headers: Readonly<Record<string, string>>;
  /** Fields of the table without `--format`. */
  readonly columns: readonly string[];
  /** Lines of `--format raw`: a word and the field it shows. */
  readonly raw: readonly (readonly [word: string, field: string])[];
}

/** One field of a row, computed when it is asked for. The argument is for `Label` alone. */
export type Field = (name?: unknown) => string | boolean | object;

/** One row: its fields by their names in templates. */
export type Row = Readonly<Record<string, Field>>;

/** The table of a list without a format: no template is needed, and none is loaded. */
export function plainTable(listing: Listing, rows: readonly Row[]): string {
  const header = listing.columns.map((column) => listing.headers[column] ?? column);
  const lines = rows.map((row) => listing.columns.map((column) => cell(row, column)));
  return `${layOut([header, ...lines].map((cells) => cells.join("\t")).join("\n"))}\n`;
}

/** The IDs alone, one a line: `--quiet`. */
export function idLines(rows: readonly Row[]): string {
  return rows.map((row) => `${cell(row, "ID")}\n`).join("");
}

function cell(row: Row, field: string): string {
  const value = row[field]?.();
  return typeof value === "string" ? value : "";
}
