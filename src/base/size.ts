import { invalidArgument } from "./error.ts";

const DECIMAL_UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"] as const;
const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"] as const;
const POWERS: Readonly<Record<string, number>> = { k: 1, m: 2, g: 3, t: 4, p: 5 };

/** Bytes in decimal units with 4 significant digits, as docker prints them: 1234567 -> `1.235MB`. */
export function humanSize(bytes: number, significantDigits: number = 4): string {
  return scaled(bytes, 1000, DECIMAL_UNITS, significantDigits);
}

/** Bytes in binary units with 4 significant digits, as `docker stats` prints them: 67108864 -> `64MiB`. */
export function binarySize(bytes: number): string {
  return scaled(bytes, 1024, BINARY_UNITS, 4);
}

function scaled(
  bytes: number,
  base: number,
  units: readonly string[],
  significantDigits: number,
): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit += 1;
  }
  // Number() drops the trailing zeros of toPrecision, as Go's %g does.
  return `${Number(value.toPrecision(significantDigits))}${units[unit]}`;
}

/**
 * Parses a size of memory: `64m`, `1.5g`, `512`, `10 KiB` (units are powers of 1024, with or without `b` or `ib`, in
 * either case). Resolves to whole bytes.
 *
 * @throws invalid-argument, in docker's words
 */
export function parseBinarySize(text: string): number {
  return parseSize(text, 1024);
}

/** As {@link parseBinarySize} with powers of 1000: `--storage-opt`, log sizes. @throws invalid-argument */
export function parseDecimalSize(text: string): number {
  return parseSize(text, 1000);
}

function parseSize(text: string, base: number): number {
  const match = /^(\+?(?:\d+\.?\d*|\.\d+)) ?(\D*)$/.exec(text);
  if (match === null) throw invalidArgument(`invalid size: '${text}'`);
  const unit = /^(?:b?|([kmgtp])(?:i?b)?)$/.exec((match[2] ?? "").toLowerCase());
  if (unit === null) {
    throw invalidArgument(`invalid suffix: '${match[2]}'`, "Use b, k, m, g, t or p");
  }
  const bytes = Math.trunc(Number(match[1]) * base ** (POWERS[unit[1] ?? ""] ?? 0));
  if (!Number.isSafeInteger(bytes)) throw invalidArgument(`invalid size: '${text}' is too large`);
  return bytes;
}
