/**
 * Go's values as templates see them, in JavaScript: strings, booleans, numbers and bigints are themselves, arrays are
 * slices, plain objects are `map[string]interface {}`, null is a nil interface, undefined is "no value".
 */
export type Value = unknown;

/** A Go method: called with the arguments that the template gives. */
export type Method = (...args: Value[]) => Value;

/** A Go struct: its fields are known, and another name is an error. A function is a method ({@link Method}). */
export class GoStruct {
  readonly typeName: string;
  readonly fields: Readonly<Record<string, Value>>;

  constructor(typeName: string, fields: Readonly<Record<string, Value>>) {
    this.typeName = typeName;
    this.fields = fields;
  }
}

/**
 * A Go map with values of one type: `index` of a key that is not there gives that type's zero value. Without entries it is
 * a nil map: empty, and null in JSON.
 */
export class GoMap {
  readonly typeName: string;
  readonly zero: Value;
  readonly entries: Readonly<Record<string, Value>>;
  readonly isNil: boolean;

  constructor(typeName: string, zero: Value, entries?: Readonly<Record<string, Value>>) {
    this.typeName = typeName;
    this.zero = zero;
    this.entries = entries ?? {};
    this.isNil = entries === undefined;
  }
}

/** A nil slice: empty, and null in JSON. */
export const NIL_SLICE: readonly Value[] = Object.freeze([]);

/** A nil pointer to a struct: false, printed as `<nil>`, and an error to look into. */
export class NilPointer {
  readonly typeName: string;

  constructor(typeName: string) {
    this.typeName = typeName;
  }
}

export function isPlainMap(value: Value): value is Record<string, Value> {
  return (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** The entries of a map of either kind; undefined for anything else. */
export function mapEntries(value: Value): Readonly<Record<string, Value>> | undefined {
  if (value instanceof GoMap) return value.entries;
  return isPlainMap(value) ? value : undefined;
}

export function sortedKeys(entries: Readonly<Record<string, Value>>): string[] {
  return Object.keys(entries).sort(compareText);
}

/** Go orders strings by their bytes, which is the order of code points. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  // UTF-16 and code point order differ only where surrogates are.
  if (!/[\ud800-\udfff]/.test(a + b)) return a < b ? -1 : 1;
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

export function isTrue(value: Value): boolean {
  if (value === undefined || value === null || value instanceof NilPointer) return false;
  if (value instanceof GoStruct) return true;
  const entries = mapEntries(value);
  if (entries !== undefined) return Object.keys(entries).length > 0;
  if (Array.isArray(value)) return value.length > 0;
  if (typeof value === "bigint") return value !== 0n;
  return Boolean(value);
}

/** Go's name of a value's type, for messages. */
export function goType(value: Value): string {
  if (value instanceof GoStruct || value instanceof GoMap || value instanceof NilPointer) {
    return value.typeName;
  }
  if (value === undefined || value === null) return "<nil>";
  if (Array.isArray(value))
    return value.every((item) => typeof item === "string") ? "[]string" : "[]interface {}";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "bigint") return "int64";
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float64";
  return "map[string]interface {}";
}
