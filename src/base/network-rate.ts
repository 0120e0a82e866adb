import { invalidArgument } from "./error.ts";

/** Bits a second of IP packets to a container and from it; 0: as fast as can be. */
export interface NetworkRate {
  readonly down: number;
  readonly up: number;
}

/** tc's, all powers of 1000. */
const UNITS: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 };
const LEAST = 8_000;
const MOST = 1e12;

/**
 * Parses `20mbit` (both ways), `20mbit/10mbit` (down, up), `0/10mbit` (up alone). Units are tc's: bit (or none), kbit, mbit, gbit, in
 * either case. null: no limit at all (`0`).
 * @throws invalid-argument
 */
export function parseNetworkRate(text: string): NetworkRate | null {
  const [down = "", up = down, ...more] = text.split("/");
  if (more.length > 0) throw invalidRate(text);
  const rate = { down: parseBits(down, text), up: parseBits(up, text) };
  return rate.down === 0 && rate.up === 0 ? null : rate;
}

function parseBits(text: string, whole: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)([a-z]*)$/i.exec(text);
  const unit = UNITS[match?.[2]?.toLowerCase() || "bit"];
  if (match === null || unit === undefined) throw invalidRate(whole);
  const bits = Math.round(Number(match[1]) * unit);
  if (bits !== 0 && (bits < LEAST || bits > MOST)) {
    throw invalidArgument(
      `invalid network rate "${whole}": it must be between 8kbit and 1000gbit`,
      "Use 0 for no limit",
    );
  }
  return bits;
}

function invalidRate(text: string): Error {
  return invalidArgument(
    `invalid network rate "${text}"`,
    "Use DOWN[/UP] in bits a second, with bit, kbit, mbit or gbit: 20mbit/10mbit; 0 is no limit",
  );
}

/** The shortest text that {@link parseNetworkRate} reads as this rate. */
export function formatNetworkRate(rate: NetworkRate | null): string {
  if (rate === null) return "0";
  const { down, up } = rate;
  return down === up ? formatBits(down) : `${formatBits(down)}/${formatBits(up)}`;
}

function formatBits(bits: number): string {
  if (bits === 0) return "0";
  const [unit, size] =
    Object.entries(UNITS).findLast(([, factor]) => bits % factor === 0) ?? (["bit", 1] as const);
  return `${bits / size}${unit}`;
}
