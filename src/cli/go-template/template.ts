import { Execution, type TemplateFunction } from "./execute.ts";
import { FUNCTIONS, HEADER_FUNCTIONS } from "./functions.ts";
import type { Node } from "./node.ts";
import { parse, TemplateError } from "./parse.ts";
import type { Value } from "./value.ts";

export { TemplateError };

export interface TemplateOptions {
  /** In messages; docker's are nameless, but `version`. */
  readonly name?: string;
  /** Further functions. */
  readonly functions?: Readonly<Record<string, TemplateFunction>>;
}

export interface RunOptions {
  /** A key that a map lacks is an error, and not `<no value>`. */
  readonly missingKeyIsError?: boolean;
  /** As for the header of a table: docker's own functions return their first argument. */
  readonly asHeader?: boolean;
}

/**
 * A Go template (text/template with docker's functions; https://docs.docker.com/go/formatting/), without define, template
 * and block.
 */
export class Template {
  readonly #source: string;
  readonly #name: string;
  readonly #functions: Readonly<Record<string, TemplateFunction>>;
  readonly #nodes: readonly Node[];

  /** @throws TemplateError in Go's words: `template: :1: unclosed action` */
  constructor(source: string, options: TemplateOptions = {}) {
    this.#source = source;
    this.#name = options.name ?? "";
    this.#functions = options.functions ?? {};
    this.#nodes = parse(
      source,
      this.#name,
      (name) => Object.hasOwn(FUNCTIONS, name) || Object.hasOwn(this.#functions, name),
    );
  }

  /** @throws TemplateError in Go's words; what was printed before it is lost */
  run(data: Value, options: RunOptions = {}): string {
    const execution = this.#execution(data, options);
    execution.run(this.#nodes, data);
    return execution.output;
  }

  /** As {@link run}, and what was printed before an error is kept. */
  runPartly(data: Value, options: RunOptions = {}): { text: string; error?: TemplateError } {
    const execution = this.#execution(data, options);
    try {
      execution.run(this.#nodes, data);
    } catch (error) {
      if (error instanceof TemplateError) return { text: execution.output, error };
      throw error;
    }
    return { text: execution.output };
  }

  #execution(data: Value, options: RunOptions): Execution {
    const base = options.asHeader === true ? HEADER_FUNCTIONS : FUNCTIONS;
    return new Execution(
      {
        name: this.#name,
        source: this.#source,
        functions: { ...base, ...this.#functions },
        missingKeyIsError: options.missingKeyIsError ?? false,
      },
      data,
    );
  }
}
