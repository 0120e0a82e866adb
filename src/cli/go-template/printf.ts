import { format, formatNumber } from "./print.ts";
import { goType, type Value } from "./value.ts";

/** fmt.Sprint: a space between two operands when neither is a string. */
export function sprint(args: readonly Value[]): string {
  let text = "";
  for (const [index, arg] of args.entries()) {
    const before = args[index - 1];
    if (index > 0 && typeof arg !== "string" && typeof before !== "string") text += " ";
    text += format(arg);
  }
  return text;
}

/** fmt.Sprintln: spaces between all, and a newline. */
export function sprintln(args: readonly Value[]): string {
  return `${args.map(format).join(" ")}\n`;
}

interface Verb {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly letter: string;
}

type VerbGroups = Readonly<
  Partial<Record<"flags" | "width" | "point" | "precision" | "letter", string>>
>;

const VERB =
  /%(?<flags>[-+# 0]*)(?<width>\d+|\*)?(?<point>\.(?<precision>\d+|\*)?)?(?<letter>.?)/gsu;

/** fmt.Sprintf, with the verbs that templates use: v s q d b o x X c U e f g t T and %, flags, width and precision. */
export function sprintf(pattern: string, args: readonly Value[]): string {
  let next = 0;
  const take = (): Value => args[next++];
  const numberOf = (text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    return text === "*" ? Number(take()) : Number(text);
  };
  const text = pattern.replace(VERB, (...match) => {
    const { flags = "", width, point, precision, letter = "" } = match.at(-1) as VerbGroups;
    if (letter === "") return "%!(NOVERB)";
    if (letter === "%") return "%";
    const wide = numberOf(width) ?? 0;
    const precise = numberOf(precision) ?? (point === undefined ? undefined : 0);
    if (next >= args.length) return `%!${letter}(MISSING)`;
    return one({ flags, width: wide, precision: precise, letter }, take());
  });
  const extra = args.slice(next).map((arg) => `${goType(arg)}=${format(arg)}`);
  return extra.length === 0 ? text : `${text}%!(EXTRA ${extra.join(", ")})`;
}

function one(verb: Verb, arg: Value): string {
  if (Array.isArray(arg) && "sqdxX".includes(verb.letter)) {
    return `[${arg.map((item: Value) => one(verb, item)).join(" ")}]`;
  }
  const text = converted(verb, arg);
  if (text === undefined) return `%!${verb.letter}(${goType(arg)}=${format(arg)})`;
  return padded(verb, text, typeof arg === "number" || typeof arg === "bigint");
}

function padded({ flags, width, letter }: Verb, text: string, isNumber: boolean): string {
  const missing = width - Array.from(text).length;
  if (missing <= 0) return text;
  if (flags.includes("-")) return text + " ".repeat(missing);
  if (!flags.includes("0") || (!isNumber && letter !== "x")) return " ".repeat(missing) + text;
  const sign = /^[+-]/.exec(text)?.[0] ?? "";
  return sign + "0".repeat(missing) + text.slice(sign.length);
}

function converted(verb: Verb, arg: Value): string | undefined {
  const { letter, precision } = verb;
  if (letter === "T") return goType(arg);
  if (letter === "v")
    return typeof arg === "number" || typeof arg === "bigint"
      ? signed(verb, format(arg))
      : format(arg);
  if (typeof arg === "string") return convertedString(verb, arg);
  if (typeof arg === "boolean") return letter === "t" ? String(arg) : undefined;
  if (
    typeof arg === "number" &&
    "eEfFgG".includes(letter) &&
    (!Number.isInteger(arg) || precision !== undefined)
  ) {
    return signed(verb, convertedFloat(verb, arg));
  }
  if (typeof arg === "number" || typeof arg === "bigint") {
    const isWhole = typeof arg === "bigint" || Number.isInteger(arg);
    const text = isWhole ? convertedInteger(verb, BigInt(arg)) : undefined;
    return text === undefined ? undefined : signed(verb, text);
  }
  return letter === "s" ? format(arg) : undefined;
}

function signed({ flags }: Verb, text: string): string {
  if (text.startsWith("-")) return text;
  if (flags.includes("+")) return `+${text}`;
  return flags.includes(" ") ? ` ${text}` : text;
}

function convertedString({ letter, precision }: Verb, arg: string): string | undefined {
  const text = precision === undefined ? arg : Array.from(arg).slice(0, precision).join("");
  if (letter === "s") return text;
  if (letter === "q") return quote(text);
  if (letter === "x") return Buffer.from(text).toString("hex");
  return letter === "X" ? Buffer.from(text).toString("hex").toUpperCase() : undefined;
}

function convertedInteger({ letter, flags }: Verb, arg: bigint): string | undefined {
  const prefix = flags.includes("#");
  switch (letter) {
    case "d":
      return arg.toString();
    case "b":
      return arg.toString(2);
    case "o":
      return (prefix ? "0" : "") + arg.toString(8);
    case "x":
      return (prefix ? "0x" : "") + arg.toString(16);
    case "X":
      return (prefix ? "0X" : "") + arg.toString(16).toUpperCase();
    case "c":
      return String.fromCodePoint(Number(arg));
    case "q":
      return `'${String.fromCodePoint(Number(arg))}'`;
    case "U":
      return `U+${arg.toString(16).toUpperCase().padStart(4, "0")}`;
    default:
      return undefined;
  }
}

function convertedFloat({ letter, precision }: Verb, arg: number): string {
  const twoDigits = (text: string): string => text.replace(/e([+-])(\d)$/, "e$10$2");
  switch (letter) {
    case "e":
      return twoDigits(arg.toExponential(precision ?? 6));
    case "E":
      return twoDigits(arg.toExponential(precision ?? 6)).toUpperCase();
    case "f":
    case "F":
      return arg.toFixed(precision ?? 6);
    default:
      return precision === undefined
        ? formatNumber(arg)
        : formatNumber(Number(arg.toPrecision(precision || 1)));
  }
}

/** Go's strconv.Quote: printable characters as they are, others escaped. */
export function quote(text: string): string {
  let quoted = '"';
  for (const char of text) {
    const point = char.codePointAt(0) ?? 0;
    if (char === '"' || char === "\\") quoted += `\\${char}`;
    else if (point in SHORT_ESCAPES) quoted += SHORT_ESCAPES[point];
    else if (point < 0x20 || point === 0x7f) quoted += `\\x${point.toString(16).padStart(2, "0")}`;
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(char)) quoted += char;
    else if (point > 0xffff) quoted += `\\U${point.toString(16).padStart(8, "0")}`;
    else quoted += `\\u${point.toString(16).padStart(4, "0")}`;
  }
  return `${quoted}"`;
}

const SHORT_ESCAPES: Readonly<Record<number, string>> = {
  7: "\\a",
  8: "\\b",
  9: "\\t",
  10: "\\n",
  11: "\\v",
  12: "\\f",
  13: "\\r",
};
