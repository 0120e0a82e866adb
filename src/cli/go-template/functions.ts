import type { ParameterType, TemplateFunction } from "./execute.ts";
import { format } from "./print.ts";
import { sprint, sprintf, sprintln } from "./printf.ts";
import { toJson } from "./json.ts";
import { GoMap, GoStruct, isTrue, mapEntries, NilPointer, goType, type Value } from "./value.ts";

type Functions = Readonly<Record<string, TemplateFunction>>;
type Run = TemplateFunction["run"];

function takes(parameters: readonly ParameterType[], run: Run): TemplateFunction {
  return { parameters, run };
}

function takesMore(parameters: readonly ParameterType[], run: Run): TemplateFunction {
  return { parameters, run, isVariadic: true };
}

/** The functions of Go's text/template. */
const BUILT_IN: Functions = {
  // These two do not look at all their arguments: the execution runs them.
  and: takesMore(["any"], (...args) => args.at(-1)),
  or: takesMore(["any"], (...args) => args.at(-1)),
  not: takes(["any"], (value) => !isTrue(value)),
  len: takes(["any"], len),
  index: takesMore(["any"], index),
  slice: takesMore(["any"], slice),
  print: takesMore([], (...args) => sprint(args)),
  println: takesMore([], (...args) => sprintln(args)),
  printf: takesMore(["string"], (first, ...args) => sprintf(first as string, args)),
  html: takesMore([], (...args) => escapeHtml(joinPrinted(args))),
  js: takesMore([], (...args) => escapeJs(joinPrinted(args))),
  urlquery: takesMore([], (...args) =>
    encodeURIComponent(joinPrinted(args)).replaceAll("%20", "+"),
  ),
  call: takesMore(["any"], (value) => {
    throw new Error(`non-function of type ${goType(value)}`);
  }),
  eq: takesMore(["any"], eq),
  ne: takes(["any", "any"], (a, b) => !equal(a, b)),
  lt: takes(["any", "any"], (a, b) => order(a, b) < 0),
  le: takes(["any", "any"], (a, b) => order(a, b) <= 0),
  gt: takes(["any", "any"], (a, b) => order(a, b) > 0),
  ge: takes(["any", "any"], (a, b) => order(a, b) >= 0),
};

/** A function of strings; the execution has checked that they are. */
function ofStrings(count: number, run: (...texts: string[]) => Value): TemplateFunction {
  return takes(Array<ParameterType>(count).fill("string"), run as Run);
}

/** The functions that docker adds. */
const DOCKER: Functions = {
  json: takes(["any"], (value) => toJson(value)),
  split: ofStrings(2, (text = "", by = "") => (by === "" ? Array.from(text) : text.split(by))),
  join: takes(["[]string", "string"], (items, by) =>
    ((items ?? []) as string[]).join(by as string),
  ),
  title: ofStrings(1, (text = "") => title(text)),
  lower: ofStrings(1, (text = "") => text.toLowerCase()),
  upper: ofStrings(1, (text = "") => text.toUpperCase()),
  pad: takes(["string", "int", "int"], (text, before, after) =>
    pad(text as string, Number(before), Number(after)),
  ),
  truncate: takes(["string", "int"], (text, length) => truncate(text as string, Number(length))),
};

export const FUNCTIONS: Functions = { ...BUILT_IN, ...DOCKER };

const UNCHANGED = takesMore(["any"], (first) => first);

/** The functions in a table's header, where docker's own leave the words as they are. */
export const HEADER_FUNCTIONS: Functions = {
  ...FUNCTIONS,
  ...Object.fromEntries(
    ["json", "split", "join", "title", "lower", "upper", "truncate"].map((name) => [
      name,
      UNCHANGED,
    ]),
  ),
};

/** A capital at the start of each word, as Go's strings.Title finds them. */
function title(text: string): string {
  const start = /(^|[^\p{L}\p{N}_'])(\p{L})/gu;
  return text.replace(
    start,
    (_all, before: string, letter: string) => before + letter.toUpperCase(),
  );
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
  if (entries === undefined) throw new Error(`len of type ${goType(value)}`);
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
  if (entries === undefined) throw new Error(`can't index item of type ${goType(value)}`);
  if (typeof key !== "string") {
    throw new Error(`value has type ${goType(key)}; should be string`);
  }
  if (Object.hasOwn(entries, key)) return entries[key];
  return value instanceof GoMap ? value.zero : undefined;
}

function position(key: Value, last: number): number {
  if (typeof key !== "number" && typeof key !== "bigint") {
    if (key === null || key === undefined) throw new Error("cannot index slice/array with nil");
    throw new Error(`cannot index slice/array with type ${goType(key)}`);
  }
  const at = Number(key);
  if (at < 0 || at > last) throw new Error(`index out of range: ${at}`);
  return at;
}

function slice(value: Value, ...bounds: Value[]): Value {
  if (value === null || value === undefined) throw new Error("slice of untyped nil");
  if (typeof value !== "string" && !Array.isArray(value)) {
    throw new Error(`can't slice item of type ${goType(value)}`);
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
  throw new Error(`non-comparable type ${format(value)}: ${goType(value)}`);
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
  return text.replace(/["'&<>\p{Cc}]/gu, (char) => HTML_ENTITIES[char] ?? char);
}

function escapeJs(text: string): string {
  return text.replace(/[\\'"<>&=\p{Cc}]/gu, (char) => {
    if (char === "\\" || char === "'" || char === '"') return `\\${char}`;
    return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}
