import { messageOf } from "../base/error.ts";

/**
 * One option of a command. `V` is the type of its value; the grammar reads it, help prints it, and a command asks for
 * its value with {@link Arguments.get}.
 */
export interface Flag<V = unknown> {
  readonly name: string;
  /** One letter. */
  readonly short: string | undefined;
  /** What help shows after the name; "" for a switch. */
  readonly type: string;
  readonly help: string;
  readonly initial: V;
  /** As help shows it, when it is not the type's empty value. */
  readonly shownDefault: string | undefined;
  readonly hidden: boolean;
  /** What to use instead. */
  readonly deprecated: string | undefined;
  /** Whether a value means something only where the command was called: a file, a directory, the environment. */
  readonly isLocal: ((text: string) => boolean) | undefined;
  /** Writes into that flag's value: `--net` for `--network`. */
  readonly target: Flag<V> | undefined;
  /** The value after one more mention of the flag. @throws an error with the reason alone */
  read(text: string, before: V): V;
}

export interface FlagOptions {
  readonly short?: string;
  readonly hidden?: true;
  readonly deprecated?: string;
  readonly shownDefault?: string;
  /** Values that name a file, a directory or a variable of the caller: all, or those for which it returns true. */
  readonly local?: true | ((text: string) => boolean);
}

type Reader<V> = (text: string, before: V) => V;

interface Kind<V> {
  readonly type: string;
  readonly initial: V;
  readonly read: Reader<V>;
}

/** A flag of any kind; the functions below make the usual ones. */
export function flag<V>(
  name: string,
  help: string,
  kind: Kind<V>,
  options: FlagOptions = {},
): Flag<V> {
  return {
    name,
    help,
    ...kind,
    short: options.short,
    shownDefault: options.shownDefault,
    hidden: options.hidden === true,
    deprecated: options.deprecated,
    isLocal: options.local === true ? (): boolean => true : options.local,
    target: undefined,
  };
}

/** Another spelling of a flag, which help does not show. */
export function aliasOf<V>(target: Flag<V>, name: string, deprecated?: string): Flag<V> {
  return { ...target, name, short: undefined, hidden: true, deprecated, target };
}

export function isSwitch(candidate: Flag): boolean {
  return candidate.type === "";
}

export function toggle(
  name: string,
  help: string,
  options: FlagOptions & { initial?: true } = {},
): Flag<boolean> {
  const initial = options.initial === true;
  const shownDefault = initial ? { shownDefault: "true" } : {};
  return flag(
    name,
    help,
    { type: "", initial, read: readBoolean },
    { ...shownDefault, ...options },
  );
}

export function text(
  name: string,
  help: string,
  options: FlagOptions & { initial?: string } = {},
): Flag<string> {
  const initial = options.initial ?? "";
  const shownDefault = initial === "" ? {} : { shownDefault: JSON.stringify(initial) };
  return flag(
    name,
    help,
    { type: "string", initial, read: (value) => value },
    { ...shownDefault, ...options },
  );
}

/** May be given many times; `check` returns the value to keep, or throws the reason why not. */
export function list(
  name: string,
  help: string,
  options: FlagOptions & { type?: string; check?: (value: string) => string } = {},
): Flag<readonly string[]> {
  const check = options.check ?? ((value: string): string => value);
  const read: Reader<readonly string[]> = (value, before) => [...before, check(value)];
  return flag(name, help, { type: options.type ?? "list", initial: [], read }, options);
}

export interface IntegerOptions extends FlagOptions {
  readonly initial?: number;
  readonly type?: IntegerType;
}

export function integer(name: string, help: string, options: IntegerOptions = {}): Flag<number> {
  const type = options.type ?? "int";
  const initial = options.initial ?? 0;
  const shownDefault = initial === 0 ? {} : { shownDefault: String(initial) };
  const read: Reader<number> = (value) => readInteger(value, type);
  return flag(name, help, { type, initial, read }, { ...shownDefault, ...options });
}

/** A flag whose value `parse` makes from the text. */
export function parsed<V>(
  name: string,
  help: string,
  kind: { readonly type: string; readonly initial: V; readonly parse: (text: string) => V },
  options: FlagOptions = {},
): Flag<V> {
  return flag(name, help, { type: kind.type, initial: kind.initial, read: kind.parse }, options);
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

function readBoolean(value: string): boolean {
  if (TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw new Error(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** Go's strconv.ParseBool, for values inside of others (`--mount readonly=true`). */
export function parseBoolean(value: string): boolean | undefined {
  if (TRUE.has(value)) return true;
  return FALSE.has(value) ? false : undefined;
}

type IntegerType = "int" | "uint" | "uint16";

const BOUNDS: Readonly<Record<IntegerType, readonly [low: bigint, high: bigint]>> = {
  int: [-(2n ** 63n), 2n ** 63n - 1n],
  uint: [0n, 2n ** 64n - 1n],
  uint16: [0n, 65_535n],
};

/** An integer as Go reads flags: decimal, 0x, 0o or 0, 0b. @throws in Go's words */
export function readInteger(value: string, type: IntegerType = "int"): number {
  const call = type === "int" ? "ParseInt" : "ParseUint";
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/.exec(value);
  const digits = match?.[2];
  if (digits === undefined || (type !== "int" && match?.[1] !== "")) {
    throw new Error(`strconv.${call}: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
  const size = BigInt(octal);
  const number = match?.[1] === "-" ? -size : size;
  const [low, high] = BOUNDS[type];
  if (number < low || number > high) {
    throw new Error(`strconv.${call}: parsing ${JSON.stringify(value)}: value out of range`);
  }
  return Number(number);
}

/** The words for a value that a flag refused: `invalid argument "x" for "-m, --memory" flag: invalid size: 'x'`. */
export function refusal(refused: Flag, value: string, error: unknown): string {
  const name =
    refused.short === undefined ? `--${refused.name}` : `-${refused.short}, --${refused.name}`;
  return `invalid argument ${JSON.stringify(value)} for "${name}" flag: ${messageOf(error)}`;
}

/** A flag that may be given many times, each value parsed. */
export function collect<V>(
  name: string,
  help: string,
  kind: {
    readonly type: string;
    readonly parse: (text: string) => V;
    readonly shownDefault?: string;
    readonly local?: (text: string) => boolean;
  },
): Flag<readonly V[]> {
  const read = (value: string, before: readonly V[]): readonly V[] => [
    ...before,
    kind.parse(value),
  ];
  return flag<readonly V[]>(name, help, { type: kind.type, initial: [], read }, kind);
}
