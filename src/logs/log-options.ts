import { invalidArgument, type TiffinError } from "../base/error.ts";
import { parseDecimalSize } from "../base/size.ts";

/** How a container's log is kept; docker's names and forms. */
export interface LogOptions {
  /** The current file is rotated at this size; 0: never. */
  readonly maxBytes: number;
  /** Files altogether, the current one included; at least 1. */
  readonly maxFiles: number;
  /** Compress rotated files with gzip. */
  readonly compress: boolean;
}

export const DEFAULT_LOG_OPTIONS: LogOptions = {
  maxBytes: 10_000_000,
  maxFiles: 5,
  compress: true,
};

/**
 * Reads `--log-opt`: max-size (`10m`, decimal units as docker's; -1: no limit), max-file, compress.
 * @throws invalid-argument
 */
export function parseLogOptions(options: Readonly<Record<string, string>>): LogOptions {
  let { maxBytes, maxFiles, compress } = DEFAULT_LOG_OPTIONS;
  for (const [name, value] of Object.entries(options)) {
    if (name === "max-size") maxBytes = parseMaximumSize(value);
    else if (name === "max-file") maxFiles = parseMaximumFiles(value);
    else if (name === "compress") compress = parseBoolean(value);
    else throw unknownLogOption(name);
  }
  return { maxBytes, maxFiles, compress };
}

function parseMaximumSize(value: string): number {
  if (value === "-1") return 0;
  const bytes = parseDecimalSize(value);
  if (bytes === 0) throw invalidArgument("Cannot use log option max-size=0: it must be positive");
  return bytes;
}

function parseMaximumFiles(value: string): number {
  if (!/^[1-9]\d{0,5}$/.test(value)) {
    throw invalidArgument(`Cannot use log option max-file=${value}: it must be a number from 1 on`);
  }
  return Number(value);
}

function parseBoolean(value: string): boolean {
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw invalidArgument(`Cannot use log option compress=${value}: it must be true or false`);
}

function unknownLogOption(name: string): TiffinError {
  return invalidArgument(
    `Unknown log option "${name}"`,
    "Use max-size, max-file or compress; the log format has no place for labels or tags",
  );
}
