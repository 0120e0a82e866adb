import { invalidArgument } from "./error.ts";

const MICROSECOND = 1_000n;
const MILLISECOND = 1_000_000n;
const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 60n * MINUTE;

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: MICROSECOND,
  "\u00b5s": MICROSECOND,
  "\u03bcs": MICROSECOND,
  ms: MILLISECOND,
  s: SECOND,
  m: MINUTE,
  h: HOUR,
};
const MAX_NANOSECONDS = 2n ** 63n - 1n;

/**
 * Parses a duration as Go writes it (`1h30m`, `1.5s`, `-2m`, `0`) into nanoseconds.
 *
 * @throws invalid-argument, in Go's words (pkg.go.dev/time#ParseDuration)
 */
export function parseDuration(text: string): bigint {
  const match = /^([+-]?)(.*)$/s.exec(text);
  let rest = match?.[2] ?? "";
  if (rest === "0") return 0n;
  if (rest === "") throw invalidArgument(`time: invalid duration ${JSON.stringify(text)}`);
  let total = 0n;
  while (rest !== "") {
    const part = /^(\d*)(?:\.(\d*))?([^\d.]*)/.exec(rest);
    const [whole = "", fraction = "", unit = ""] = [part?.[1], part?.[2], part?.[3]];
    if (part === null || (whole === "" && fraction === "")) {
      throw invalidArgument(`time: invalid duration ${JSON.stringify(text)}`);
    }
    total += toNanoseconds(whole, fraction, unit, text);
    rest = rest.slice(part[0].length);
  }
  if (total > MAX_NANOSECONDS) {
    throw invalidArgument(`time: invalid duration ${JSON.stringify(text)}`);
  }
  return match?.[1] === "-" ? -total : total;
}

function toNanoseconds(whole: string, fraction: string, unit: string, text: string): bigint {
  if (unit === "") {
    throw invalidArgument(
      `time: missing unit in duration ${JSON.stringify(text)}`,
      "Add ns, us, ms, s, m or h",
    );
  }
  const scale = Object.hasOwn(UNITS, unit) ? UNITS[unit] : undefined;
  if (scale === undefined) {
    throw invalidArgument(
      `time: unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`,
      "Use ns, us, ms, s, m or h",
    );
  }
  // More than 18 digits of a fraction are less than a nanosecond in any unit.
  const digits = fraction.slice(0, 18);
  return (
    BigInt(whole === "" ? "0" : whole) * scale +
    (BigInt(digits === "" ? "0" : digits) * scale) / 10n ** BigInt(digits.length)
  );
}

/** Nanoseconds as Go prints a duration: `1h30m0s`, `1.5s`, `100ms`, `0s`. */
export function formatDuration(nanoseconds: bigint): string {
  const sign = nanoseconds < 0n ? "-" : "";
  const value = nanoseconds < 0n ? -nanoseconds : nanoseconds;
  if (value === 0n) return "0s";
  if (value < MICROSECOND) return `${sign}${value}ns`;
  if (value < MILLISECOND) return `${sign}${decimal(value, MICROSECOND)}\u00b5s`;
  if (value < SECOND) return `${sign}${decimal(value, MILLISECOND)}ms`;
  const hours = value / HOUR;
  const minutes = (value % HOUR) / MINUTE;
  const seconds = `${decimal(value % MINUTE, SECOND)}s`;
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}`;
  return sign + (minutes > 0n ? `${minutes}m${seconds}` : seconds);
}

function decimal(value: bigint, unit: bigint): string {
  const width = unit.toString().length - 1;
  const fraction = (value % unit).toString().padStart(width, "0").replace(/0+$/, "");
  return `${value / unit}${fraction === "" ? "" : `.${fraction}`}`;
}

/** A length of time in docker's words: `Less than a second`, `About a minute`, `2 hours`, `3 weeks`. */
export function humanDuration(seconds: number): string {
  const whole = Math.trunc(seconds);
  if (whole < 1) return "Less than a second";
  if (whole === 1) return "1 second";
  if (whole < 60) return `${whole} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(seconds / 3600 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  const days = Math.trunc(hours / 24);
  if (hours < 24 * 7 * 2) return `${days} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(days / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(days / 30)} months`;
  return `${Math.trunc(Math.trunc(seconds / 3600) / 24 / 365)} years`;
}
