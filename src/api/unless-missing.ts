import { isTiffinError } from "../base/error.ts";

/** undefined for what is not there; other errors are errors. */
export function unlessMissing<Value>(find: () => Value): Value | undefined {
  try {
    return find();
  } catch (error) {
    if (isTiffinError(error, "not-found")) return undefined;
    throw error;
  }
}
