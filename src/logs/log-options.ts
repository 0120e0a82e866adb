import { invalidArgument, messageOf, type TiffinError } from "../base/error.ts";
import { parseBinarySize, parseDecimalSize } from "../base/size.ts";

/** How a container's log is kept; docker's names and forms. */
export interface LogOptions {
  /** The current file is rotated at this size; 0: never. */
  readonly maxBytes: number;
  /** Files altogether, the current one included; at least 1. */
  readonly maxFiles: number;
  /** Compress rotated files with gzip. */
  readonly compress: boolean;
}

/** Options of a driver: docker's `--log-opt`. */
export type AskedLogOptions = Readonly<Record<string, string>>;

/** The driver that keeps no log. */
export const NO_LOG = "none";
/** Ours, and docker's two that keep a log on this machine: all three are the same files. "" is ours. */
const DRIVERS: readonly string[] = ["", "cri", "json-file", "local"];

const DEFAULT: LogOptions = { maxBytes: 10_000_000, maxFiles: 5, compress: true };
/** docker's own of its driver `local`. */
const DEFAULT_LOCAL: LogOptions = { ...DEFAULT, maxBytes: 20 * 1024 * 1024 };

const FILE_OPTIONS: readonly string[] = ["max-size", "max-file", "compress"];
const ATTRIBUTE_OPTIONS: readonly string[] = ["labels", "labels-regex", "env", "env-regex", "tag"];
/** Of every driver. The cache is for drivers that keep no log here; a file is written without waiting in either mode. */
const COMMON_OPTIONS: readonly string[] = [
  "mode",
  "max-buffer-size",
  "cache-disabled",
  "cache-max-size",
  "cache-max-file",
  "cache-compress",
];

/** Refuses drivers and options that docker refuses. @throws invalid-argument, in docker's words */
export function validateLogOptions(driver: string, options: AskedLogOptions): void {
  if (driver === NO_LOG) return;
  checkMode(options);
  if (!DRIVERS.includes(driver)) {
    throw invalidArgument(
      `logger: no log driver named '${driver}' is registered`,
      "Use json-file, local or none",
    );
  }
  const known = [
    ...FILE_OPTIONS,
    ...COMMON_OPTIONS,
    ...(driver === "local" ? [] : ATTRIBUTE_OPTIONS),
  ];
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) throw unknownLogOption(driver, unknown);
  parseLogOptions(driver, options);
}

/** Reads how the files are kept; other options are passed over. @throws invalid-argument, in docker's words */
export function parseLogOptions(driver: string, options: AskedLogOptions): LogOptions {
  const initial = driver === "local" ? DEFAULT_LOCAL : DEFAULT;
  const { "max-size": size, "max-file": files, compress: asked } = options;
  const maxBytes = size === undefined ? initial.maxBytes : parseMaximumSize(size);
  const maxFiles = files === undefined ? initial.maxFiles : parseMaximumFiles(files);
  const compress = asked === undefined ? initial.compress : parseBoolean(asked);
  if (asked !== undefined && compress && (maxFiles === 1 || maxBytes === 0)) {
    throw unusable("compress cannot be true when max-file is less than 2 or max-size is not set");
  }
  return { maxBytes, maxFiles, compress };
}

function checkMode(options: AskedLogOptions): void {
  const { mode = "", "max-buffer-size": buffer } = options;
  if (!["", "blocking", "non-blocking"].includes(mode)) {
    throw invalidArgument(`logger: logging mode not supported: ${mode}`);
  }
  if (buffer === undefined) return;
  if (mode !== "non-blocking") {
    throw invalidArgument(
      "logger: max-buffer-size option is only supported with 'mode=non-blocking'",
    );
  }
  try {
    parseBinarySize(buffer);
  } catch (error) {
    throw invalidArgument(`error parsing option max-buffer-size: ${messageOf(error)}`);
  }
}

function parseMaximumSize(value: string): number {
  if (value === "-1") return 0;
  let bytes: number;
  try {
    bytes = parseDecimalSize(value);
  } catch (error) {
    throw unusable(messageOf(error));
  }
  if (bytes === 0) throw unusable("max-size must be a positive number");
  return bytes;
}

function parseMaximumFiles(value: string): number {
  if (!/^[+-]?\d{1,6}$/.test(value)) {
    throw unusable(`strconv.Atoi: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  if (Number(value) < 1) throw unusable("max-file cannot be less than 1");
  return Number(value);
}

function parseBoolean(value: string): boolean {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(value)) return true;
  if (["0", "f", "F", "FALSE", "false", "False"].includes(value)) return false;
  throw unusable(`strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
}

/** docker says so at the start of the container, and we when it is made. */
function unusable(reason: string): TiffinError {
  return invalidArgument(`failed to initialize logging driver: ${reason}`);
}

function unknownLogOption(driver: string, name: string): TiffinError {
  const where = driver === "local" ? "log driver local" : `${driver || "cri"} log driver`;
  return invalidArgument(
    `unknown log opt '${name}' for ${where}`,
    "Use max-size, max-file, compress",
  );
}
