import type { CommandNode, Control, Node, Pipeline, Term } from "./node.ts";
import { nodeText } from "./node.ts";
import { TemplateError } from "./parse.ts";
import { printValue } from "./print.ts";
import {
  GoStruct,
  isTrue,
  mapEntries,
  type Method,
  NilPointer,
  sortedKeys,
  goType,
  type Value,
} from "./value.ts";

export type ParameterType = "string" | "int" | "[]string" | "any";

/** A function that a template can call. Throwing gives `error calling NAME: …`. */
export interface TemplateFunction {
  /** Types of its parameters; arguments of other types are an error. */
  readonly parameters: readonly ParameterType[];
  /** Any number of further arguments of any type may follow. */
  readonly isVariadic?: boolean;
  readonly run: (...args: Value[]) => Value;
}

export interface ExecuteOptions {
  readonly name: string;
  readonly source: string;
  readonly functions: Readonly<Record<string, TemplateFunction>>;
  /** A key that a map lacks is an error, and not `<no value>`. */
  readonly missingKeyIsError: boolean;
}

class LoopControl extends Error {
  readonly isBreak: boolean;

  constructor(isBreak: boolean) {
    super("loop control");
    this.isBreak = isBreak;
  }
}

function fits(value: Value, type: ParameterType): boolean {
  if (type === "any") return true;
  if (type === "string") return typeof value === "string";
  if (type === "int") return typeof value === "number" || typeof value === "bigint";
  // A nil slice of strings is an empty one.
  return (
    value === null || (Array.isArray(value) && value.every((item) => typeof item === "string"))
  );
}

/** No value was piped into a command. */
const NOTHING = Symbol("nothing");

/** Runs a template. What was printed before an error is in `output`. @throws TemplateError */
export class Execution {
  readonly #options: ExecuteOptions;
  readonly #variables: { name: string; value: Value }[];
  output = "";

  constructor(options: ExecuteOptions, data: Value) {
    this.#options = options;
    this.#variables = [{ name: "$", value: data }];
  }

  run(nodes: readonly Node[], dot: Value): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: Node, dot: Value): void {
    switch (node.kind) {
      case "text":
        this.output += node.text;
        return;
      case "action": {
        const value = this.#pipeline(node.pipeline, dot);
        if (node.pipeline.declares.length === 0) this.output += printValue(value);
        return;
      }
      case "break":
      case "continue":
        throw new LoopControl(node.kind === "break");
      default:
        this.#scoped(() =>
          node.kind === "range" ? this.#range(node, dot) : this.#branch(node, dot),
        );
    }
  }

  #scoped(run: () => void): void {
    const before = this.#variables.length;
    try {
      run();
    } finally {
      this.#variables.length = before;
    }
  }

  #branch(node: Control, dot: Value): void {
    const value = this.#pipeline(node.pipeline, dot);
    if (isTrue(value)) this.run(node.body, node.kind === "with" ? value : dot);
    else this.run(node.otherwise, dot);
  }

  #range(node: Control, dot: Value): void {
    const value = this.#pipeline(node.pipeline, dot);
    const pairs = this.#pairs(value, node);
    if (pairs.length === 0) return this.run(node.otherwise, dot);
    const { declares, assigns } = node.pipeline;
    for (const [key, item] of pairs) {
      const before = this.#variables.length;
      const names =
        declares.length === 1
          ? [[declares[0], item]]
          : [
              [declares[0], key],
              [declares[1], item],
            ];
      for (const [name, bound] of names) {
        if (typeof name !== "string") continue;
        if (assigns) this.#assign(name, bound);
        else this.#variables.push({ name, value: bound });
      }
      try {
        this.run(node.body, item);
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error;
        if (error.isBreak) return;
      } finally {
        this.#variables.length = before;
      }
    }
  }

  #pairs(value: Value, node: Control): (readonly [Value, Value])[] {
    if (value === undefined || value === null || value instanceof NilPointer) return [];
    if (Array.isArray(value)) return value.map((item: Value, index) => [index, item] as const);
    if (typeof value === "number" && Number.isInteger(value)) {
      return Array.from({ length: Math.max(0, value) }, (_item, index) => [index, index] as const);
    }
    const entries = value instanceof GoStruct ? undefined : mapEntries(value);
    if (entries === undefined) {
      throw this.#error(node.pipeline, `range can't iterate over ${printValue(value)}`);
    }
    return sortedKeys(entries).map((key) => [key, entries[key]] as const);
  }

  #pipeline(pipeline: Pipeline, dot: Value): Value {
    let value: Value = NOTHING;
    for (const command of pipeline.commands) value = this.#command(command, dot, value);
    for (const name of pipeline.declares) {
      if (pipeline.assigns) this.#assign(name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #assign(name: string, value: Value): void {
    const variable = this.#variables.findLast((candidate) => candidate.name === name);
    if (variable !== undefined) variable.value = value;
  }

  #command(command: CommandNode, dot: Value, piped: Value): Value {
    const [first, ...rest] = command.words as [Term, ...Term[]];
    const hasArguments = rest.length > 0 || piped !== NOTHING;
    switch (first.kind) {
      case "function":
        return this.#call(command, { first, rest, dot, piped });
      case "field":
      case "chain":
      case "variable":
        return this.#fields(first, dot, { rest, piped });
      case "nil":
        throw this.#error(first, "nil is not a command");
      default:
        if (hasArguments) {
          throw this.#error(first, `can't give argument to non-function ${nodeText(first)}`);
        }
        return this.#term(first, dot);
    }
  }

  /** The value of a word that is an argument, or stands alone. */
  #term(term: Term, dot: Value): Value {
    switch (term.kind) {
      case "dot":
        return dot;
      case "nil":
        return null;
      case "constant":
        return term.value;
      case "pipeline":
        return this.#pipeline(term, dot);
      case "function":
        return this.#call(
          { kind: "command", words: [term], at: term.at },
          { first: term, rest: [], dot, piped: NOTHING },
        );
      default:
        return this.#fields(term, dot, { rest: [], piped: NOTHING });
    }
  }

  #fields(
    term: Term & { kind: "field" | "chain" | "variable" },
    dot: Value,
    given: { readonly rest: readonly Term[]; readonly piped: Value },
  ): Value {
    let value = dot;
    if (term.kind === "variable") value = this.#variable(term.name);
    if (term.kind === "chain") value = this.#term(term.term, dot);
    const args = given.rest.map((word) => this.#term(word, dot));
    if (given.piped !== NOTHING) args.push(given.piped);
    if (term.names.length === 0 && args.length > 0) {
      throw this.#error(term, `can't give argument to non-function ${nodeText(term)}`);
    }
    let isAny = false;
    for (const [index, name] of term.names.entries()) {
      const isLast = index === term.names.length - 1;
      const receiver = value;
      value = this.#field(receiver, { name, args: isLast ? args : [], term, isAny });
      isAny = !(receiver instanceof GoStruct);
    }
    return value;
  }

  #variable(name: string): Value {
    return this.#variables.findLast((candidate) => candidate.name === name)?.value;
  }

  #field(
    receiver: Value,
    wanted: {
      readonly name: string;
      readonly args: readonly Value[];
      readonly term: Term;
      /** It comes out of a map of any values, whose types Go does not name. */
      readonly isAny: boolean;
    },
  ): Value {
    const { name, args, term } = wanted;
    if (receiver === undefined) {
      if (!this.#options.missingKeyIsError) return undefined;
      throw this.#error(term, `nil data; no entry for key ${JSON.stringify(name)}`);
    }
    if (receiver === null || receiver instanceof NilPointer) {
      const type = receiver === null ? "interface {}" : receiver.typeName;
      throw this.#error(term, `nil pointer evaluating ${type}.${name}`);
    }
    if (receiver instanceof GoStruct && Object.hasOwn(receiver.fields, name)) {
      const field = receiver.fields[name];
      if (typeof field === "function") return this.#method(field as Method, wanted);
      if (args.length > 0)
        throw this.#error(term, `${name} has arguments but cannot be invoked as function`);
      return field;
    }
    const entries = mapEntries(receiver);
    if (entries === undefined || receiver instanceof GoStruct) {
      const type = wanted.isAny ? "interface {}" : goType(receiver);
      throw this.#error(term, `can't evaluate field ${name} in type ${type}`);
    }
    if (args.length > 0) throw this.#error(term, `${name} is not a method but has arguments`);
    if (Object.hasOwn(entries, name)) return entries[name];
    if (!this.#options.missingKeyIsError) return undefined;
    throw this.#error(term, `map has no entry for key ${JSON.stringify(name)}`);
  }

  #method(method: Method, wanted: { name: string; args: readonly Value[]; term: Term }): Value {
    const { name, args, term } = wanted;
    if (args.length !== method.length) {
      throw this.#error(
        term,
        `wrong number of args for ${name}: want ${method.length} got ${args.length}`,
      );
    }
    return method(...args);
  }

  #call(
    command: CommandNode,
    given: { first: Term & { kind: "function" }; rest: readonly Term[]; dot: Value; piped: Value },
  ): Value {
    const { name } = given.first;
    const { run, ...signature } = this.#options.functions[name] as TemplateFunction;
    if (name === "and" || name === "or") return this.#shortCircuit(command, given);
    const args = given.rest.map((word) => this.#term(word, given.dot));
    if (given.piped !== NOTHING) args.push(given.piped);
    this.#checkArguments(signature, args, given);
    try {
      return run(...args);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw this.#error(command, `error calling ${name}: ${(error as Error).message}`);
    }
  }

  #checkArguments(
    signature: Omit<TemplateFunction, "run">,
    args: readonly Value[],
    given: { readonly first: Term & { kind: "function" }; readonly rest: readonly Term[] },
  ): void {
    const { parameters, isVariadic = false } = signature;
    const least = parameters.length;
    if (args.length < least || (args.length > least && !isVariadic)) {
      const want = isVariadic ? `at least ${least}` : String(least);
      const { name } = given.first;
      throw this.#error(
        given.first,
        `wrong number of args for ${name}: want ${want} got ${args.length}`,
      );
    }
    for (const [index, type] of parameters.entries()) {
      if (fits(args[index], type)) continue;
      const got = args[index] === undefined ? "invalid value" : "wrong type for value";
      const which = args[index] === undefined ? "" : `; got ${goType(args[index])}`;
      throw this.#error(given.rest[index] ?? given.first, `${got}; expected ${type}${which}`);
    }
  }

  /** `and` and `or` do not look at what comes after the deciding argument. */
  #shortCircuit(
    command: CommandNode,
    given: { first: Term & { kind: "function" }; rest: readonly Term[]; dot: Value; piped: Value },
  ): Value {
    const { name } = given.first;
    const count = given.rest.length + (given.piped === NOTHING ? 0 : 1);
    if (count === 0)
      throw this.#error(given.first, `wrong number of args for ${name}: want at least 1 got 0`);
    let value: Value;
    for (const word of given.rest) {
      value = this.#term(word, given.dot);
      if (isTrue(value) === (name === "or")) return value;
    }
    return given.piped === NOTHING ? value : given.piped;
  }

  #error(node: Term | CommandNode, message: string): TemplateError {
    const { name, source } = this.#options;
    const before = source.slice(0, node.at);
    const line = before.split("\n").length;
    const column = Buffer.byteLength(before.slice(before.lastIndexOf("\n") + 1));
    const where = `template: ${name}:${line}:${column}: executing ${JSON.stringify(name)} at <${nodeText(node)}>`;
    return new TemplateError(`${where}: ${message}`);
  }
}
