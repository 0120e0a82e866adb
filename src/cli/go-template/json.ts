import { formatNumber } from "./print.ts";
import {
  GoMap,
  GoStruct,
  isPlainMap,
  mapEntries,
  NilPointer,
  NIL_SLICE,
  sortedKeys,
  type Value,
} from "./value.ts";

export interface JsonOptions {
  /** Go's encoder writes <, > and & as \u003c, \u003e, \u0026 unless told otherwise. */
  readonly escapeHtml: boolean;
}

/** A value as Go's encoding/json writes it: keys of maps sorted, fields of structs in their order, no spaces. */
export function toJson(value: Value, options: JsonOptions = { escapeHtml: false }): string {
  if (value === undefined || value === null || value instanceof NilPointer) return "null";
  if (value === NIL_SLICE || (value instanceof GoMap && value.isNil)) return "null";
  if (typeof value === "string") return jsonString(value, options);
  if (typeof value === "number") return jsonNumber(value);
  if (typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => toJson(item, options)).join(",")}]`;
  if (value instanceof GoStruct) return jsonStruct(value, options);
  if (value instanceof GoMap || isPlainMap(value)) {
    const entries = mapEntries(value) ?? {};
    return jsonObject(
      sortedKeys(entries).map((key) => [key, entries[key]]),
      options,
    );
  }
  return "{}";
}

function jsonStruct(value: GoStruct, options: JsonOptions): string {
  const marshal = value.fields["MarshalJSON"];
  if (typeof marshal === "function") return String(marshal());
  return jsonObject(
    Object.entries(value.fields).filter(([, field]) => typeof field !== "function"),
    options,
  );
}

function jsonObject(pairs: readonly (readonly [string, Value])[], options: JsonOptions): string {
  const members = pairs.map(
    ([key, value]) => `${jsonString(key, options)}:${toJson(value, options)}`,
  );
  return `{${members.join(",")}}`;
}

const HTML = /[<>&]/g;

/** Go escapes the two line separators of JavaScript always. */
export function jsonString(text: string, options: JsonOptions): string {
  const json = JSON.stringify(text.isWellFormed() ? text : text.toWellFormed())
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
  return options.escapeHtml
    ? json.replace(HTML, (char) => `\\u00${char.charCodeAt(0).toString(16)}`)
    : json;
}

function jsonNumber(value: number): string {
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e21) return formatNumber(value);
  if (size !== 0 && (size < 1e-6 || size >= 1e21)) return value.toExponential().replace("e+", "e+");
  return String(value);
}
