import { invalidArgument } from "../base/error.ts";

/** Variables that `$NAME` and `${NAME}` stand for. */
export type Variables = ReadonlyMap<string, string>;

/**
 * Takes one instruction's arguments apart as a Dockerfile does: words are divided by blanks, quotes keep blanks, a
 * backslash keeps the next character, `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}` are replaced except
 * in single quotes. Source: Dockerfile reference, "Environment replacement".
 *
 * @throws invalid-argument for a quote or brace that is not closed
 */
export function dockerfileWords(text: string, variables: Variables): string[] {
  const reader = new WordReader(text, variables);
  const words: string[] = [];
  for (let word = reader.next(); word !== undefined; word = reader.next()) words.push(word);
  return words;
}

/** The whole text as one word: blanks are kept, quotes are taken off, variables are replaced. @throws invalid-argument */
export function dockerfileText(text: string, variables: Variables): string {
  return new WordReader(text, variables).whole();
}

/**
 * The arguments of a form that may be a JSON array of strings: `["a", "b"]`. Undefined when it is none, since docker
 * then takes the text as a command for the shell.
 */
export function jsonForm(text: string): string[] | undefined {
  if (!text.trimStart().startsWith("[")) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((item) => typeof item === "string")
      ? value
      : undefined;
  } catch {
    return undefined;
  }
}

class WordReader {
  private readonly text: string;
  private readonly variables: Variables;
  private at = 0;

  constructor(text: string, variables: Variables) {
    this.text = text;
    this.variables = variables;
  }

  next(): string | undefined {
    while (/\s/.test(this.text.charAt(this.at))) this.at += 1;
    if (this.at >= this.text.length) return undefined;
    return this.until((character) => /\s/.test(character));
  }

  whole(): string {
    return this.until(() => false);
  }

  private until(isEnd: (character: string) => boolean): string {
    let word = "";
    while (this.at < this.text.length) {
      const character = this.text.charAt(this.at);
      if (isEnd(character)) break;
      this.at += 1;
      if (character === "\\") {
        word += this.text.charAt(this.at);
        this.at += 1;
      } else if (character === "'") word += this.singleQuoted();
      else if (character === '"') word += this.doubleQuoted();
      else word += character === "$" ? this.variable() : character;
    }
    return word;
  }

  private singleQuoted(): string {
    const end = this.text.indexOf("'", this.at);
    if (end < 0) throw this.unclosed("single quote");
    const quoted = this.text.slice(this.at, end);
    this.at = end + 1;
    return quoted;
  }

  private doubleQuoted(): string {
    let quoted = "";
    while (this.at < this.text.length) {
      const character = this.text.charAt(this.at);
      this.at += 1;
      if (character === '"') return quoted;
      if (character === "$") quoted += this.variable();
      else if (character !== "\\") quoted += character;
      else {
        const next = this.text.charAt(this.at);
        this.at += 1;
        // Inside double quotes a backslash matters only before what it can escape, as in a shell.
        quoted += /["$\\]/.test(next) ? next : `\\${next}`;
      }
    }
    throw this.unclosed("double quote");
  }

  private variable(): string {
    const rest = this.text.slice(this.at);
    if (!rest.startsWith("{")) {
      const name = /^(?:[A-Za-z_]\w*|\d)/.exec(rest)?.[0];
      if (name === undefined) return "$";
      this.at += name.length;
      return this.variables.get(name) ?? "";
    }
    const match = /^\{(\w+)(?::([-+]))?/.exec(rest);
    const name = match?.[1];
    if (match === null || name === undefined) {
      throw invalidArgument(`Cannot read ${JSON.stringify(this.text)}: bad substitution`);
    }
    this.at += match[0].length;
    const operator = match[2];
    const other = this.until((character) => character === "}");
    if (this.text.charAt(this.at) !== "}") throw this.unclosed("brace");
    this.at += 1;
    const value = this.variables.get(name) ?? "";
    if (operator === undefined && other !== "") {
      throw invalidArgument(`Cannot read ${JSON.stringify(this.text)}: bad substitution`);
    }
    if (operator === "-") return value === "" ? other : value;
    if (operator === "+") return value === "" ? "" : other;
    return value;
  }

  private unclosed(what: string): Error {
    return invalidArgument(`Cannot read ${JSON.stringify(this.text)}: a ${what} is not closed`);
  }
}
