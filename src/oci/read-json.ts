import { invalidArgument, messageOf } from "../base/error.ts";

/**
 * JSON with null left out of objects (Go's encoder writes it for what is empty), numbers beyond 2^53 as bigint.
 * @throws invalid-argument; `what` is how the text is called in the message
 */
export function parseJson(text: string, what: string): unknown {
  const hasLongNumbers = /\d{16}/.test(text);
  const hasNull = text.includes("null");
  try {
    if (!hasLongNumbers && !hasNull) return JSON.parse(text);
    return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
      if (value === null) return undefined;
      if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
      const source = context?.source;
      return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
    });
  } catch (error) {
    throw invalidArgument(`Cannot read ${what}: it is no JSON: ${messageOf(error)}`);
  }
}
