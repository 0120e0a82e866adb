export type TokenKind =
  | "text"
  | "left"
  | "right"
  | "comment"
  | "space"
  | "field"
  | "dot"
  | "variable"
  | "identifier"
  | "keyword"
  | "boolean"
  | "nil"
  | "number"
  | "character"
  | "string"
  | "("
  | ")"
  | "|"
  | ","
  | ":="
  | "="
  /** A sign that means nothing here. */
  | "sign"
  | "error"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Offset in the template. */
  readonly at: number;
  readonly line: number;
}

const LEFT = "{{";
const RIGHT = "}}";
const SPACE = /[ \t\r\n]/;
const KEYWORDS = new Set([
  "if",
  "else",
  "end",
  "range",
  "with",
  "break",
  "continue",
  "define",
  "template",
  "block",
]);
const WORD = /[\p{L}\p{Nd}_]/u;

/** Splits a template into tokens; the last is "end", or "error" with the reason in its text. */
export function lex(source: string): Token[] {
  return new Lexer(source).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  #line = 1;
  #depth = 0;
  /** The action just left ended with a trim mark: the text after it starts without its space. */
  #trimNext = false;

  constructor(source: string) {
    this.#source = source;
  }

  run(): Token[] {
    for (;;) {
      if (!this.#lexText() || !this.#lexAction()) return this.#tokens;
    }
  }

  #emit(kind: TokenKind, text: string, length: number = text.length): void {
    this.#tokens.push({ kind, text, at: this.#at, line: this.#line });
    this.#advance(length);
  }

  #advance(length: number): void {
    const end = this.#at + length;
    for (; this.#at < end; this.#at += 1) if (this.#source[this.#at] === "\n") this.#line += 1;
  }

  #fail(message: string): false {
    this.#tokens.push({ kind: "error", text: message, at: this.#at, line: this.#line });
    return false;
  }

  /** Text up to the next action, without the space that trim marks take; false at the end. */
  #lexText(): boolean {
    const left = this.#source.indexOf(LEFT, this.#at);
    const end = left < 0 ? this.#source.length : left;
    const raw = this.#source.slice(this.#at, end);
    const isTrimmed = left >= 0 && this.#hasTrimMark(left);
    const start = this.#trimNext ? raw.length - raw.replace(/^[ \t\r\n]+/, "").length : 0;
    this.#advance(start);
    const body = raw.slice(start);
    const text = isTrimmed ? body.replace(/[ \t\r\n]+$/, "") : body;
    if (text !== "") this.#emit("text", text);
    this.#advance(end - this.#at);
    if (left < 0) this.#emit("end", "");
    return left >= 0;
  }

  #hasTrimMark(left: number): boolean {
    return this.#source[left + 2] === "-" && SPACE.test(this.#source[left + 3] ?? "");
  }

  /** False when the template ends here, by an error. */
  #lexAction(): boolean {
    const mark = this.#hasTrimMark(this.#at) ? 2 : 0;
    this.#trimNext = false;
    if (this.#source.startsWith("/*", this.#at + LEFT.length + mark)) return this.#lexComment(mark);
    this.#emit("left", LEFT);
    this.#advance(mark);
    this.#depth = 0;
    for (;;) {
      const close = this.#rightLength(this.#at);
      if (close > 0) {
        if (this.#depth > 0) return this.#fail("unclosed left paren");
        this.#trimNext = close > RIGHT.length;
        this.#emit("right", RIGHT, close);
        return true;
      }
      if (this.#at >= this.#source.length) return this.#fail("unclosed action");
      if (!this.#lexInside()) return false;
    }
  }

  /** Length of the action's end here, with its trim mark; 0 when there is none. */
  #rightLength(at: number): number {
    if (this.#source.startsWith(RIGHT, at)) return RIGHT.length;
    const isMarked =
      SPACE.test(this.#source[at] ?? "") && this.#source.startsWith(`-${RIGHT}`, at + 1);
    return isMarked ? RIGHT.length + 2 : 0;
  }

  #lexComment(mark: number): boolean {
    const close = this.#source.indexOf("*/", this.#at + LEFT.length + mark);
    if (close < 0) return this.#fail("unclosed comment");
    const after = this.#rightLength(close + 2);
    if (after === 0) return this.#fail("comment ends before closing delimiter");
    this.#trimNext = after > RIGHT.length;
    this.#advance(close + 2 + after - this.#at);
    return true;
  }

  #lexInside(): boolean {
    const rest = this.#source.slice(this.#at);
    const char = rest[0] ?? "";
    const space = /^[ \t\r\n]+/.exec(rest)?.[0];
    if (space !== undefined) {
      // The last space may belong to a trim mark.
      const own = rest.startsWith(`-${RIGHT}`, space.length) ? space.slice(0, -1) : space;
      this.#emit("space", own);
      return true;
    }
    if (rest.startsWith(":=")) return this.#one(":=", ":=");
    if (char === ":") return this.#fail("expected :=");
    if (char === "=" || char === "|" || char === ",") return this.#one(char, char);
    if (char === "(" || char === ")") return this.#parenthesis(char);
    if (char === '"')
      return this.#quoted(/^"(?:[^"\\\n]|\\.)*"/, "string", "unterminated quoted string");
    if (char === "`") return this.#quoted(/^`[^`]*`/, "string", "unterminated raw quoted string");
    if (char === "'")
      return this.#quoted(/^'(?:[^'\\\n]|\\.)*'/, "character", "unterminated character constant");
    if (/^[+-]?\.?[0-9]/.test(rest)) return this.#number(rest);
    if (char === ".") return this.#word(rest, /^\.[\p{L}\p{Nd}_]*/u);
    if (char === "$" || WORD.test(char)) return this.#word(rest, /^\$?[\p{L}\p{Nd}_]*/u);
    const point = rest.codePointAt(0) ?? 0;
    if (point > 0x20 && point < 0x7f) return this.#one("sign", char);
    return this.#fail(`unrecognized character in action: ${unicode(point)}`);
  }

  #one(kind: TokenKind, text: string): true {
    this.#emit(kind, text);
    return true;
  }

  #parenthesis(char: "(" | ")"): boolean {
    this.#depth += char === "(" ? 1 : -1;
    if (this.#depth < 0) return this.#fail("unexpected right paren");
    return this.#one(char, char);
  }

  #quoted(pattern: RegExp, kind: TokenKind, problem: string): boolean {
    const text = pattern.exec(this.#source.slice(this.#at))?.[0];
    return text === undefined ? this.#fail(problem) : this.#one(kind, text);
  }

  #number(rest: string): boolean {
    const text =
      /^[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9]+)?)/.exec(
        rest,
      )?.[0] ?? "";
    const next = rest.slice(text.length, text.length + 1);
    if (WORD.test(next)) return this.#fail(`bad number syntax: ${JSON.stringify(text + next)}`);
    return this.#one("number", text);
  }

  #word(rest: string, pattern: RegExp): boolean {
    const text = pattern.exec(rest)?.[0] ?? "";
    const next = rest.slice(text.length);
    const isEnd = next === "" || /^[ \t\r\n.,|:()]/.test(next) || next.startsWith(RIGHT);
    if (!isEnd) return this.#fail(`bad character ${unicode(next.codePointAt(0) ?? 0)}`);
    return this.#one(wordKind(text), text);
  }
}

function wordKind(text: string): TokenKind {
  if (text === ".") return "dot";
  if (text.startsWith(".")) return "field";
  if (text.startsWith("$")) return "variable";
  if (text === "true" || text === "false") return "boolean";
  if (text === "nil") return "nil";
  return KEYWORDS.has(text) ? "keyword" : "identifier";
}

/** Go's `%#U`: `U+0025 '%'`. */
function unicode(point: number): string {
  return `U+${point.toString(16).toUpperCase().padStart(4, "0")} '${String.fromCodePoint(point)}'`;
}
