import { lex, type Token } from "./lex.ts";
import type { CommandNode, Control, Node, Pipeline, Term } from "./node.ts";
import { readCharacter, readNumber, readString } from "./constant.ts";

/** A template that is wrong, or failed while it ran; the message is Go's. */
export class TemplateError extends Error {}

/** Parses a template. `isFunction` tells which names may be called. @throws TemplateError */
export function parse(source: string, name: string, isFunction: (name: string) => boolean): Node[] {
  return new Parser(source, name, isFunction).parse();
}

type Ending = { readonly kind: "end" } | { readonly kind: "else" } | undefined;

class Parser {
  readonly #name: string;
  readonly #isFunction: (name: string) => boolean;
  readonly #tokens: Token[];
  #next = 0;
  #variables: string[] = ["$"];
  #ranges = 0;
  /** Line on which the action being read began. */
  #actionLine = 0;

  constructor(source: string, name: string, isFunction: (name: string) => boolean) {
    this.#name = name;
    this.#isFunction = isFunction;
    this.#tokens = lex(source);
  }

  parse(): Node[] {
    const nodes: Node[] = [];
    while (this.#peek().kind !== "end") {
      const item = this.#item();
      if (item.node === undefined) throw this.#error(`unexpected {{${item.ending?.kind}}}`);
      nodes.push(item.node);
    }
    return nodes;
  }

  // Tokens

  #peek(): Token {
    return this.#tokens[Math.min(this.#next, this.#tokens.length - 1)] as Token;
  }

  #take(): Token {
    const token = this.#peek();
    this.#next += 1;
    return token;
  }

  #peekWord(): Token {
    while (this.#peek().kind === "space") this.#next += 1;
    return this.#peek();
  }

  #takeWord(): Token {
    this.#peekWord();
    return this.#take();
  }

  #error(
    message: string,
    token: Token = this.#tokens[Math.max(0, this.#next - 1)] ?? this.#peek(),
  ): TemplateError {
    return new TemplateError(`template: ${this.#name}:${token.line}: ${message}`);
  }

  #unexpected(token: Token, where: string): TemplateError {
    if (token.kind === "error") {
      const isElsewhere = this.#actionLine !== 0 && this.#actionLine !== token.line;
      const place = `started at ${this.#name}:${this.#actionLine}`;
      const within = token.text.endsWith(" action") ? place : `in action ${place}`;
      return this.#error(isElsewhere ? `${token.text} ${within}` : token.text, token);
    }
    return this.#error(`unexpected ${tokenText(token)} in ${where}`, token);
  }

  // Items: text, actions, control structures

  #item(): { node?: Node; ending?: Ending } {
    const token = this.#takeWord();
    if (token.kind === "text") return { node: { kind: "text", text: token.text, at: token.at } };
    if (token.kind !== "left") throw this.#unexpected(token, "input");
    this.#actionLine = token.line;
    const result = this.#action();
    this.#actionLine = 0;
    return result;
  }

  #action(): { node?: Node; ending?: Ending } {
    const token = this.#peekWord();
    if (token.kind !== "keyword") {
      const pipeline = this.#pipeline("command", "right");
      return { node: { kind: "action", pipeline, at: pipeline.at } };
    }
    this.#take();
    switch (token.text) {
      case "if":
      case "with":
      case "range":
        return { node: this.#control(token.text, token) };
      case "else":
        // `{{else if x}}` reads as `{{else}}{{if x}}`.
        if (!["if", "with"].includes(this.#peekWord().text)) this.#expectRight("else");
        return { ending: { kind: "else" } };
      case "end":
        this.#expectRight("end");
        return { ending: { kind: "end" } };
      case "break":
      case "continue":
        this.#expectRight(token.text);
        if (this.#ranges === 0) throw this.#error(`{{${token.text}}} outside {{range}}`, token);
        return { node: { kind: token.text, at: token.at } };
      default:
        throw this.#error(`{{${token.text}}} is not supported`, token);
    }
  }

  #expectRight(where: string): void {
    const token = this.#takeWord();
    if (token.kind !== "right") throw this.#unexpected(token, where);
  }

  #control(kind: Control["kind"], token: Token): Control {
    const before = this.#variables.length;
    const pipeline = this.#pipeline(kind, "right");
    if (kind === "range") this.#ranges += 1;
    const { nodes: body, ending } = this.#list();
    if (kind === "range") this.#ranges -= 1;
    let otherwise: readonly Node[] = [];
    if (ending?.kind === "else") otherwise = this.#otherwise(kind);
    this.#variables.length = before;
    return { kind, pipeline, body, otherwise, at: token.at };
  }

  #otherwise(kind: Control["kind"]): readonly Node[] {
    const next = this.#peekWord();
    // The chained structure has no end of its own: it takes this one's.
    if (kind !== "range" && next.kind === "keyword" && next.text === kind) {
      this.#take();
      return [this.#control(kind, next)];
    }
    if (next.kind === "keyword" && ["if", "with"].includes(next.text)) {
      throw this.#unexpected(this.#take(), "else");
    }
    const { nodes, ending } = this.#list();
    if (ending?.kind !== "end") throw this.#error("expected end; found {{else}}");
    return nodes;
  }

  #list(): { nodes: Node[]; ending: Ending } {
    const nodes: Node[] = [];
    while (this.#peekWord().kind !== "end") {
      const item = this.#item();
      if (item.node === undefined) return { nodes, ending: item.ending };
      nodes.push(item.node);
    }
    throw this.#error("unexpected EOF", this.#peek());
  }

  // Pipelines

  #pipeline(where: string, closing: "right" | ")"): Pipeline {
    const start = this.#peekWord();
    const { declares, assigns } = this.#declarations(where);
    const commands: CommandNode[] = [];
    for (;;) {
      const token = this.#peekWord();
      if (token.kind === closing) break;
      if (!startsTerm(token)) throw this.#unexpected(this.#take(), where);
      commands.push(this.#command());
    }
    this.#take();
    this.#check(commands, where);
    return { kind: "pipeline", declares, assigns, commands, at: start.at };
  }

  #declarations(where: string): { declares: string[]; assigns: boolean } {
    const declares: string[] = [];
    while (this.#peekWord().kind === "variable") {
      const back = this.#next;
      const variable = this.#take();
      const after = this.#peekWord();
      if (after.kind === ":=" || after.kind === "=") {
        this.#take();
        declares.push(variable.text);
        if (after.kind === ":=") this.#variables.push(...declares);
        return { declares, assigns: after.kind === "=" };
      }
      if (after.kind !== ",") {
        this.#next = back;
        break;
      }
      this.#take();
      declares.push(variable.text);
      if (where !== "range" || declares.length > 1)
        throw this.#error(`too many declarations in ${where}`);
      if (!["variable", "right", ")"].includes(this.#peekWord().kind)) {
        throw this.#error("range can only initialize variables");
      }
    }
    return { declares, assigns: false };
  }

  #check(commands: readonly CommandNode[], where: string): void {
    if (commands.length === 0) throw this.#error(`missing value for ${where}`);
    for (const [index, { words }] of commands.entries()) {
      const kind = words[0]?.kind;
      if (index > 0 && (kind === "dot" || kind === "nil" || kind === "constant")) {
        throw this.#error(`non executable command in pipeline stage ${index + 1}`);
      }
    }
  }

  #command(): CommandNode {
    const start = this.#peekWord();
    const words: Term[] = [];
    for (;;) {
      this.#peekWord();
      const operand = this.#operand();
      if (operand !== undefined) words.push(operand);
      const token = this.#take();
      if (token.kind === "space") continue;
      if (token.kind === "right" || token.kind === ")") this.#next -= 1;
      else if (token.kind !== "|") throw this.#unexpected(token, "operand");
      break;
    }
    if (words.length === 0) throw this.#error("empty command");
    return { kind: "command", words, at: start.at };
  }

  #operand(): Term | undefined {
    const term = this.#term();
    if (term === undefined || this.#peek().kind !== "field") return term;
    const at = this.#peek().at;
    const names: string[] = [];
    while (this.#peek().kind === "field") names.push(this.#take().text.slice(1));
    // Go places such a node where its second name is.
    if (term.kind === "field") return { ...term, at, names: [...term.names, ...names] };
    if (term.kind === "variable") return { ...term, at, names: [...term.names, ...names] };
    if (term.kind === "dot" || term.kind === "nil" || term.kind === "constant") {
      const text = term.kind === "constant" ? term.text : term.kind === "dot" ? "." : "nil";
      throw this.#error(`unexpected . after term ${JSON.stringify(text)}`);
    }
    return { kind: "chain", term, names, at };
  }

  #term(): Term | undefined {
    const token = this.#peekWord();
    if (!startsTerm(token)) return undefined;
    this.#take();
    const { at, text } = token;
    switch (token.kind) {
      case "identifier":
        if (!this.#isFunction(text))
          throw this.#error(`function ${JSON.stringify(text)} not defined`);
        return { kind: "function", name: text, at };
      case "dot":
      case "nil":
        return { kind: token.kind, at };
      case "variable":
        if (!this.#variables.includes(text))
          throw this.#error(`undefined variable ${JSON.stringify(text)}`);
        return { kind: "variable", name: text, names: [], at };
      case "field":
        return { kind: "field", names: [text.slice(1)], at };
      case "(":
        return this.#pipeline("parenthesized pipeline", ")");
      default:
        return { kind: "constant", value: this.#constant(token), text, at };
    }
  }

  #constant(token: Token): unknown {
    if (token.kind === "boolean") return token.text === "true";
    const read = { string: readString, character: readCharacter, number: readNumber }[
      token.kind as "string"
    ];
    try {
      return read(token.text);
    } catch (error) {
      throw this.#error((error as Error).message, token);
    }
  }
}

const TERM_KINDS = new Set<string>(
  "identifier dot nil variable field ( boolean string character number".split(" "),
);

function startsTerm(token: Token): boolean {
  return TERM_KINDS.has(token.kind);
}

const LONG_TOKEN = 10;

function tokenText(token: Token): string {
  if (token.kind === "end") return "EOF";
  if (token.kind === "keyword") return `<${token.text}>`;
  if (token.text.length > LONG_TOKEN)
    return `${JSON.stringify(token.text.slice(0, LONG_TOKEN))}...`;
  return JSON.stringify(token.text);
}
