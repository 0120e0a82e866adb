import { invalidArgument } from "../base/error.ts";

/**
 * A JSON object from a client, read field by field. Absent and null are the default, a wrong type is an
 * invalid-argument that names the field. Names match without regard to case, as docker's decoder (Go's) does.
 */
export class JsonObject {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;
  #byLowerCase: ReadonlyMap<string, unknown> | undefined;

  constructor(value: unknown, path = "") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw invalidArgument(`invalid JSON: ${path === "" ? "the body" : path} must be an object`);
    }
    this.#fields = value as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  /** The raw value; null when absent. */
  raw(name: string): unknown {
    if (Object.hasOwn(this.#fields, name)) return this.#fields[name] ?? null;
    this.#byLowerCase ??= new Map(
      Object.entries(this.#fields).map(([key, value]) => [key.toLowerCase(), value]),
    );
    return this.#byLowerCase.get(name.toLowerCase()) ?? null;
  }

  string(name: string): string {
    return this.#typed(name, "", isString, "a string");
  }

  boolean(name: string): boolean {
    return this.#typed(name, false, isBoolean, "true or false");
  }

  integer(name: string): number {
    return this.integerOrNull(name) ?? 0;
  }

  integerOrNull(name: string): number | null {
    return this.#typed<number | null>(name, null, Number.isSafeInteger, "a whole number");
  }

  /** null when absent or null: docker tells it from an empty list. */
  stringsOrNull(name: string): string[] | null {
    return this.#typed<string[] | null>(name, null, isStrings, "a list of strings");
  }

  strings(name: string): string[] {
    return this.stringsOrNull(name) ?? [];
  }

  /** A list of strings, or one string: docker accepts a command in both forms. */
  stringsOrOne(name: string): string[] | null {
    const value = this.raw(name);
    return typeof value === "string" ? [value] : this.stringsOrNull(name);
  }

  /** docker's `[rows, columns]`. */
  terminalSize(name: string): { rows: number; columns: number } {
    const value = this.raw(name);
    const [rows, columns]: unknown[] = Array.isArray(value) ? value : [];
    const valid = [rows, columns].every((size) => Number.isInteger(size) && Number(size) >= 0);
    return valid ? { rows: Number(rows), columns: Number(columns) } : { rows: 0, columns: 0 };
  }

  stringMap(name: string): Record<string, string> {
    return this.#typed(name, {}, isStringMap, "an object of strings");
  }

  /** The names of a set, written as an object of empty objects. */
  keys(name: string): string[] {
    return Object.keys(this.#typed<object>(name, {}, isObject, "an object"));
  }

  /** The names of its own fields. */
  names(): string[] {
    return Object.keys(this.#fields);
  }

  objectOrNull(name: string): JsonObject | null {
    const value = this.raw(name);
    return value === null ? null : new JsonObject(value, this.#name(name));
  }

  object(name: string): JsonObject {
    return this.objectOrNull(name) ?? new JsonObject({}, this.#name(name));
  }

  objects(name: string): JsonObject[] {
    const list = this.#typed<unknown[]>(name, [], isArray, "a list");
    return list.map((value, index) => new JsonObject(value, `${this.#name(name)}[${index}]`));
  }

  #typed<Type>(
    name: string,
    absent: Type,
    holds: (value: unknown) => boolean,
    wanted: string,
  ): Type {
    const value = this.raw(name);
    if (value === null) return absent;
    if (!holds(value)) throw invalidArgument(`invalid JSON: ${this.#name(name)} must be ${wanted}`);
    return value as Type;
  }

  #name(name: string): string {
    return this.#path === "" ? name : `${this.#path}.${name}`;
  }
}

function isString(value: unknown): boolean {
  return typeof value === "string";
}

function isBoolean(value: unknown): boolean {
  return typeof value === "boolean";
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isArray(value: unknown): boolean {
  return Array.isArray(value);
}

function isStrings(value: unknown): boolean {
  return Array.isArray(value) && value.every(isString);
}

function isStringMap(value: unknown): boolean {
  return isObject(value) && Object.values(value as object).every(isString);
}
