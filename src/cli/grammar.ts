import { type Flag, isSwitch, refusal } from "./flag.ts";

/** What the words of a command line mean to one command. */
export class Arguments {
  readonly operands: readonly string[];
  /** A flag's value means something only where the command was called (see {@link Flag.isLocal}). */
  readonly isLocal: boolean;
  readonly #values: ReadonlyMap<Flag, unknown>;

  constructor(
    operands: readonly string[],
    values: ReadonlyMap<Flag, unknown>,
    isLocal: boolean = false,
  ) {
    this.operands = operands;
    this.#values = values;
    this.isLocal = isLocal;
  }

  get<V>(flag: Flag<V>): V {
    return this.#values.has(flag) ? (this.#values.get(flag) as V) : flag.initial;
  }

  /** True when the command line names the flag, also with its initial value. */
  has(flag: Flag): boolean {
    return this.#values.has(flag);
  }

  /**
   * These arguments over others: a single value wins, a list is added to the other's, unless its flag's name is among
   * `replaced`.
   */
  over(
    base: Arguments,
    more: { readonly operands: readonly string[]; readonly replaced: readonly string[] },
  ): Arguments {
    const values = new Map(base.#values);
    for (const [flag, value] of this.#values) {
      const before = base.#values.get(flag);
      const isAdded = Array.isArray(value) && !more.replaced.includes(flag.name);
      const all = isAdded && Array.isArray(before) ? [...(before as unknown[]), ...value] : value;
      values.set(flag, all);
    }
    return new Arguments(more.operands, values, this.isLocal || base.isLocal);
  }
}

export type Parsed =
  | {
      readonly kind: "arguments";
      readonly arguments: Arguments;
      readonly warnings: readonly string[];
    }
  | { readonly kind: "help"; readonly warnings: readonly string[] };

export interface GrammarOptions {
  /** False: the first operand ends the flags, as in `run IMAGE ls -l`. */
  readonly interspersed: boolean;
}

/** A command line that the grammar does not allow, in pflag's words. */
export class GrammarError extends Error {}

const SHORT_HELP_WARNING = "Flag shorthand -h has been deprecated, use --help";

/**
 * Reads words by the rules of pflag, which docker's command line follows: `--flag=value`, `--flag value`, `-f value`,
 * `-fvalue`, `-f=value`, switches joined as in `-it` and set as in `--rm=false`, `--` before operands.
 *
 * @throws GrammarError
 */
export function parse(
  words: readonly string[],
  flags: readonly Flag[],
  options: GrammarOptions,
): Parsed {
  const reader = new Reader(words, flags);
  try {
    reader.read(options.interspersed);
  } catch (error) {
    if (error instanceof HelpWanted) return { kind: "help", warnings: reader.warnings };
    throw error;
  }
  return {
    kind: "arguments",
    arguments: new Arguments(reader.operands, reader.values, reader.isLocal),
    warnings: reader.warnings,
  };
}

class HelpWanted extends Error {}

class Reader {
  readonly #words: string[];
  readonly #byName = new Map<string, Flag>();
  readonly #byShort = new Map<string, Flag>();
  readonly operands: string[] = [];
  readonly values = new Map<Flag, unknown>();
  readonly warnings: string[] = [];
  isLocal = false;

  constructor(words: readonly string[], flags: readonly Flag[]) {
    this.#words = [...words];
    for (const flag of flags) {
      this.#byName.set(flag.name, flag);
      if (flag.short !== undefined) this.#byShort.set(flag.short, flag);
    }
  }

  read(interspersed: boolean): void {
    for (let word = this.#words.shift(); word !== undefined; word = this.#words.shift()) {
      if (word === "--") break;
      if (word.startsWith("--")) this.#readLong(word);
      else if (word.startsWith("-") && word !== "-") this.#readShort(word.slice(1));
      else {
        this.operands.push(word);
        if (!interspersed) break;
      }
    }
    this.operands.push(...this.#words);
  }

  #readLong(word: string): void {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    if (name === "" || name.startsWith("-")) throw new GrammarError(`bad flag syntax: ${word}`);
    const flag = this.#byName.get(name);
    if (flag === undefined) {
      if (name === "help") throw new HelpWanted();
      throw new GrammarError(`unknown flag: --${name}`);
    }
    if (equals >= 0) return this.#set(flag, word.slice(equals + 1));
    this.#set(flag, isSwitch(flag) ? "true" : this.#next(`flag needs an argument: --${name}`));
  }

  /** One or more letters after a dash; the first that takes a value takes what is left. */
  #readShort(letters: string): void {
    let rest = letters;
    while (rest !== "") {
      const letter = rest.slice(0, 1);
      const flag = this.#byShort.get(letter);
      if (flag === undefined) {
        if (letter === "h") {
          this.warnings.push(SHORT_HELP_WARNING);
          throw new HelpWanted();
        }
        throw new GrammarError(`unknown shorthand flag: '${letter}' in -${rest}`);
      }
      if (rest.length > 2 && rest[1] === "=") return this.#set(flag, rest.slice(2));
      if (!isSwitch(flag)) {
        const missing = `flag needs an argument: '${letter}' in -${rest}`;
        return this.#set(flag, rest.length > 1 ? rest.slice(1) : this.#next(missing));
      }
      this.#set(flag, "true");
      rest = rest.slice(1);
    }
  }

  #next(missing: string): string {
    const word = this.#words.shift();
    if (word === undefined) throw new GrammarError(missing);
    return word;
  }

  #set(flag: Flag, text: string): void {
    const owner = flag.target ?? flag;
    if (flag.deprecated !== undefined) {
      this.warnings.push(`Flag --${flag.name} has been deprecated, ${flag.deprecated}`);
    }
    if (flag.isLocal?.(text) === true) this.isLocal = true;
    const before = this.values.has(owner) ? this.values.get(owner) : owner.initial;
    try {
      this.values.set(owner, flag.read(text, before));
    } catch (error) {
      throw new GrammarError(refusal(flag, text, error));
    }
  }
}
