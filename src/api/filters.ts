import { invalidArgument } from "../base/error.ts";
import type { TiffinError } from "../base/error.ts";

/**
 * The `filters` parameter: `{"status":["running"]}`, or the older `{"status":{"running":true}}`. Values of one name are
 * alternatives (labels: all must hold), names must all hold.
 */
export class Filters {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>) {
    this.#values = values;
  }

  has(name: string): boolean {
    return this.values(name).length > 0;
  }

  values(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  get names(): string[] {
    return [...this.#values.keys()];
  }

  /** True without such a filter, or when one of its values is `candidate`. */
  exact(name: string, candidate: string): boolean {
    return !this.has(name) || this.values(name).includes(candidate);
  }

  /** As `exact`; the values are regular expressions that may match anywhere. */
  pattern(name: string, ...candidates: string[]): boolean {
    if (!this.has(name)) return true;
    return this.values(name).some((value) => {
      const expression = compile(value);
      return candidates.some((candidate) =>
        expression === undefined ? candidate.includes(value) : expression.test(candidate),
      );
    });
  }

  /** As `exact`; a start of the candidate is enough. */
  prefix(name: string, ...candidates: string[]): boolean {
    if (!this.has(name)) return true;
    return this.values(name).some((value) =>
      candidates.some((candidate) => candidate.startsWith(value)),
    );
  }

  /** `KEY` or `KEY=VALUE`, all of them. */
  labels(name: string, labels: Readonly<Record<string, string>>): boolean {
    return this.values(name).every((wanted) => hasLabel(labels, wanted));
  }

  /** `KEY` or `KEY=VALUE`, not all of them: `label!`, as docker reads several (moby, daemon/prune.go). */
  withoutLabels(name: string, labels: Readonly<Record<string, string>>): boolean {
    return !this.has(name) || !this.labels(name, labels);
  }

  /** A filter that is true or false; undefined when absent. @throws invalid-argument */
  flag(name: string): boolean | undefined {
    const values = this.values(name);
    if (values.length === 0) return undefined;
    const isTrue = values.some((value) => ["1", "t", "T", "true", "TRUE", "True"].includes(value));
    const isFalse = values.some((value) =>
      ["0", "f", "F", "false", "FALSE", "False"].includes(value),
    );
    if (isTrue === isFalse) throw invalidFilter(`${name}=[${values.join(" ")}]`);
    return isTrue;
  }
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const [key = "", ...rest] = wanted.split("=");
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
  return value !== undefined && (rest.length === 0 || value === rest.join("="));
}

/** Reads the query's `filters`. @throws invalid-argument: not of either form, or a name that is not in `accepted` */
export function parseFilters(value: string | null, accepted: readonly string[]): Filters {
  const values = new Map<string, readonly string[]>();
  for (const [name, listed] of Object.entries(parseObject(value ?? ""))) {
    if (!accepted.includes(name)) throw invalidFilter(name);
    values.set(name, valuesOf(listed));
  }
  return new Filters(values);
}

export function invalidFilter(filter: string): TiffinError {
  return invalidArgument(`invalid filter '${filter}'`);
}

function parseObject(value: string): object {
  if (value === "") return {};
  let parsed: unknown;
  try {
    parsed = JSON.parse(value);
  } catch {
    throw invalidArgument(`invalid filters: "${value}" is not JSON`);
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw invalidArgument("invalid filters: want an object of lists");
}

function valuesOf(listed: unknown): string[] {
  if (Array.isArray(listed)) return listed.map(String);
  if (typeof listed !== "object" || listed === null) {
    throw invalidArgument("invalid filters: want an object of lists");
  }
  const entries: [string, unknown][] = Object.entries(listed);
  return entries.filter(([, isSet]) => isSet === true).map(([name]) => name);
}

function compile(expression: string): RegExp | undefined {
  try {
    return new RegExp(expression);
  } catch {
    // Docker takes what is no regular expression as a plain word.
    return undefined;
  }
}
