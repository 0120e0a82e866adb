import {
  GoMap,
  GoStruct,
  isPlainMap,
  mapEntries,
  NilPointer,
  sortedKeys,
  type Value,
} from "./value.ts";

/** A value as `{{.}}` prints it: Go's `%v`. */
export function printValue(value: Value): string {
  return value === undefined || value === null ? "<no value>" : format(value);
}

/** Go's `%v` of a value inside another one. */
export function format(value: Value): string {
  if (value === undefined || value === null || value instanceof NilPointer) return "<nil>";
  if (typeof value === "number") return formatNumber(value);
  if (Array.isArray(value)) return `[${value.map(format).join(" ")}]`;
  if (value instanceof GoStruct) return formatStruct(value);
  if (value instanceof GoMap || isPlainMap(value)) {
    const entries = mapEntries(value) ?? {};
    return `map[${sortedKeys(entries)
      .map((key) => `${key}:${format(entries[key])}`)
      .join(" ")}]`;
  }
  return typeof value === "bigint" ? value.toString() : `${value as string | boolean}`;
}

function formatStruct({ fields }: GoStruct): string {
  const stringer = fields["String"];
  if (typeof stringer === "function") return String(stringer());
  const values = Object.values(fields).filter((field) => typeof field !== "function");
  return `{${values.map(format).join(" ")}}`;
}

/** Go's `%v` of a number: whole ones in full, others with an exponent below 1e-4 and from 1e21 on. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (Number.isInteger(value) && Math.abs(value) < 1e21) return BigInt(value).toString();
  const size = Math.abs(value);
  const text = size < 1e-4 ? value.toExponential() : String(value);
  // Go writes two digits of an exponent at least.
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}
