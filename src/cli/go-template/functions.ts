import { CallError, type TemplateFunction } from "./execute.ts";
import { format } from "./print.ts";
import { sprint, sprintf, sprintln } from "./printf.ts";
import { toJson } from "./json.ts";
import { GoMap, GoStruct, isTrue, mapEntries, NilPointer, typeName, type Value } from "./value.ts";

type Functions = Readonly<Record<string, TemplateFunction>>;

/** The functions of Go's text/template. */
const BUILT_IN: Functions = {
  and: (...args) => args.find((arg) => !isTrue(arg)) ?? args.at(-1),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  not: (value) => !isTrue(value),
  len,
  index,
  slice,
  print: (...args) => sprint(args),
  println: (...args) => sprintln(args),
  printf: (first, ...args) => sprintf(string(first), args),
  html: (...args) => escapeHtml(joinPrinted(args)),
  js: (...args) => escapeJs(joinPrinted(args)),
  urlquery: (...args) => encodeURIComponent(joinPrinted(args)).replaceAll("%20", "+"),
  call: () => {
    throw new Error("non-function of type string");
  },
  eq,
  ne: (...args) => !equal(args[0], args[1]),
  lt: (a, b) => order(a, b) < 0,
  le: (a, b) => order(a, b) <= 0,
  gt: (a, b) => order(a, b) > 0,
  ge: (a, b) => order(a, b) >= 0,
};

/** The functions that docker adds. */
const DOCKER: Functions = {
  json: (value) => toJson(value),
  split: (text, separator) => {
    const [whole, by] = [string(text), string(separator)];
    return by === "" ? [...whole] : whole.split(by);
  },
  join: (items, separator) => strings(items).join(string(separator)),
  title: (text) =>
    string(text).replace(
      /(^|[^\p{L}\p{N}_'])(\p{L})/gu,
      (_all, before: string, letter: string) => before + letter.toUpperCase(),
    ),
  lower: (text) => string(text).toLowerCase(),
  upper: (text) => string(text).toUpperCase(),
  pad: (text, before, after) => pad(string(text), number(before), number(after)),
  truncate: (text, length) => truncate(string(text), number(length)),
};

export const FUNCTIONS: Functions = { ...BUILT_IN, ...DOCKER };

/** The functions in a table's header, where they leave the words as they are. */
export const HEADER_FUNCTIONS: Functions = {
  ...FUNCTIONS,
  ...Object.fromEntries(
    ["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [
      name,
      (text: Value): Value => text,
    ]),
  ),
};

function string(value: Value): string {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) throw new CallError("invalid value; expected string");
  throw new CallError(`wrong type for value; expected string; got ${typeName(value)}`);
}

function number(value: Value): number {
  if (typeof value === "number" || typeof value === "bigint") return Number(value);
  throw new CallError(`wrong type for value; expected int; got ${typeName(value)}`);
}

function strings(value: Value): string[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value) && value.every((item) => typeof item === "string")) return value;
  throw new CallError(`wrong type for value; expected []string; got ${typeName(value)}`);
}

function pad(text: string, before: number, after: number): string {
  return text === "" ? text : " ".repeat(before) + text + " ".repeat(after);
}

/** By bytes, as Go cuts. */
function truncate(text: string, length: number): string {
  const bytes = Buffer.from(text);
  return bytes.length < length ? text : bytes.subarray(0, length).toString("utf8");
}

function len(value: Value): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (value === null || value === undefined) throw new Error("len of untyped nil");
  if (value instanceof NilPointer) throw new Error("len of nil pointer");
  const entries = value instanceof GoStruct ? undefined : mapEntries(value);
  if (entries === undefined) throw new Error(`len of type ${typeName(value)}`);
  return Object.keys(entries).length;
}

function index(item: Value, ...keys: Value[]): Value {
  let value = item;
  if (value === null || value === undefined) throw new Error("index of untyped nil");
  for (const key of keys) value = indexOnce(value, key);
  return value;
}

function indexOnce(value: Value, key: Value): Value {
  if (value === null || value === undefined || value instanceof NilPointer) {
    throw new Error("index of nil pointer");
  }
  if (Array.isArray(value)) return value[position(key, value.length - 1)] as Value;
  if (typeof value === "string") {
    return Buffer.from(value)[position(key, Buffer.byteLength(value) - 1)];
  }
  const entries = value instanceof GoStruct ? undefined : mapEntries(value);
  if (entries === undefined) throw new Error(`can't index item of type ${typeName(value)}`);
  if (typeof key !== "string") {
    throw new Error(`value has type ${typeName(key)}; should be string`);
  }
  if (Object.hasOwn(entries, key)) return entries[key];
  return value instanceof GoMap ? value.zero : undefined;
}

function position(key: Value, last: number): number {
  if (typeof key !== "number" && typeof key !== "bigint") {
    if (key === null || key === undefined) throw new Error("cannot index slice/array with nil");
    throw new Error(`cannot index slice/array with type ${typeName(key)}`);
  }
  const at = Number(key);
  if (at < 0 || at > last) throw new Error(`index out of range: ${at}`);
  return at;
}

function slice(value: Value, ...bounds: Value[]): Value {
  if (value === null || value === undefined) throw new Error("slice of untyped nil");
  if (typeof value !== "string" && !Array.isArray(value)) {
    throw new Error(`can't slice item of type ${typeName(value)}`);
  }
  const bytes = typeof value === "string" ? Buffer.from(value) : undefined;
  const length = bytes?.length ?? (value as Value[]).length;
  const [start = 0, end = length] = bounds.map((bound) => position(bound, length));
  if (start > end) throw new Error(`invalid slice index: ${start} > ${end}`);
  return bytes === undefined
    ? (value as Value[]).slice(start, end)
    : bytes.subarray(start, end).toString("utf8");
}

type Comparable = string | number | bigint | boolean | null;

function comparable(value: Value): Comparable {
  if (value === undefined || value === null || value instanceof NilPointer) return null;
  if (["string", "number", "bigint", "boolean"].includes(typeof value)) return value as Comparable;
  throw new Error("non-comparable type " + `${format(value)}: ${typeName(value)}`);
}

function eq(...args: Value[]): boolean {
  const [first, ...others] = args;
  if (others.length === 0) throw new Error("missing argument for comparison");
  return others.some((other) => equal(first, other));
}

function equal(first: Value, second: Value): boolean {
  const [a, b] = [comparable(first), comparable(second)];
  if (a === null || b === null) return a === b;
  if (isNumber(a) && isNumber(b)) return a == b;
  if (typeof a !== typeof b) throw new Error("incompatible types for comparison");
  return a === b;
}

function isNumber(value: Comparable): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

function order(first: Value, second: Value): number {
  const [a, b] = [comparable(first), comparable(second)];
  if (isNumber(a) && isNumber(b)) return a < b ? -1 : Number(a > b);
  if (a === null || b === null || typeof a === "boolean" || typeof b === "boolean") {
    throw new Error("invalid type for comparison");
  }
  if (typeof a !== typeof b) throw new Error("incompatible types for comparison");
  return a < b ? -1 : Number(a > b);
}

function joinPrinted(args: readonly Value[]): string {
  return args.length === 1 && typeof args[0] === "string" ? args[0] : sprint(args);
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  "\0": "\ufffd",
  '"': "&#34;",
  "'": "&#39;",
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
};

function escapeHtml(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: Go replaces NUL too.
  return text.replace(/[\0"'&<>]/g, (char) => HTML_ENTITIES[char] ?? char);
}

function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=\n\r\t\u0000-\u001f]/g, (char) => {
    if (char === "\\" || char === "'" || char === '"') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}
