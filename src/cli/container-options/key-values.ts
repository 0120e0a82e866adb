import { readFileSync } from "node:fs";
import { failure } from "../failure.ts";
import { openError } from "../file-error.ts";

/**
 * The lines of an `--env-file` or `--label-file`: `KEY=VALUE`, comments after `#`. A key without a value takes it from
 * `lookUp` when there is one there, else it is left out.
 *
 * @throws in docker's words
 */
export function readKeyValueFile(
  file: string,
  lookUp?: (key: string) => string | undefined,
): string[] {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    throw openError(file, error);
  }
  const text = bytes.toString("utf8");
  if (text.includes("\ufffd")) throw invalid(file, "invalid utf8 bytes");
  const values: string[] = [];
  for (const raw of text.replace(/^\ufeff/, "").split(/\r?\n/)) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const key = line.split("=", 1)[0] ?? "";
    if (key === "") throw invalid(file, `no variable name on line '${line}'`);
    if (/[ \t]/.test(key)) throw invalid(file, `variable '${key}' contains whitespaces`);
    const found = line.includes("=") ? line : lookUp?.(key);
    if (found !== undefined) values.push(line.includes("=") ? line : `${key}=${found}`);
  }
  return values;
}

function invalid(file: string, why: string): Error {
  return failure(`invalid env file (${file}): ${why}`);
}

/** `a=b` pairs as an object; a word without `=` has the value "". */
export function toMap(pairs: readonly string[]): Record<string, string> {
  const map: Record<string, string> = {};
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    map[equals < 0 ? pair : pair.slice(0, equals)] = equals < 0 ? "" : pair.slice(equals + 1);
  }
  return map;
}
