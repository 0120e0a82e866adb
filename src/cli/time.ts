import { readFileSync } from "node:fs";

/** Seconds since the epoch as Go prints a local time: `2026-11-24 09:26:37 +0100 CET`. */
export function goTime(seconds: number): string {
  const local = zoneAt(seconds);
  const shifted = new Date((seconds + local.offset) * 1000).toISOString();
  return `${shifted.slice(0, 10)} ${shifted.slice(11, 19)} ${offsetText(local.offset, "")} ${local.name}`;
}

/** Nanoseconds since the epoch as local time in RFC 3339 with nine digits: docker's event times. */
export function rfc3339Nano(nanoseconds: bigint): string {
  const seconds = Number(nanoseconds / 1_000_000_000n);
  const { offset } = zoneAt(seconds);
  const shifted = new Date((seconds + offset) * 1000).toISOString();
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, "0");
  return `${shifted.slice(0, 19)}.${fraction}${offset === 0 ? "Z" : offsetText(offset, ":")}`;
}

function offsetText(offset: number, separator: string): string {
  const minutes = Math.abs(Math.trunc(offset / 60));
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${offset < 0 ? "-" : "+"}${two(Math.trunc(minutes / 60))}${separator}${two(minutes % 60)}`;
}

interface Zone {
  /** Seconds east of UTC. */
  readonly offset: number;
  readonly name: string;
}

/** The runtime knows the offset but not the zone's short name, which is in the system's time zone file. */
function zoneAt(seconds: number): Zone {
  const offset = -new Date(seconds * 1000).getTimezoneOffset() * 60;
  const name = offset === 0 && isUtc() ? "UTC" : zoneName(seconds, offset);
  return { offset, name };
}

function isUtc(): boolean {
  const { TZ } = process.env;
  return TZ === "" || TZ === "UTC" || (TZ === undefined && zoneFile() === undefined);
}

function zoneFile(): Buffer | undefined {
  const { TZ } = process.env;
  const zone = TZ?.replace(/^:/, "");
  const file =
    zone === undefined || zone === ""
      ? "/etc/localtime"
      : zone.startsWith("/")
        ? zone
        : `/usr/share/zoneinfo/${zone}`;
  try {
    return readFileSync(file);
  } catch {
    // No time zone file means UTC, as in libc.
    return undefined;
  }
}

/** Looks the short name up among the types of the zone's file (RFC 8536); the offset stands for one that is not there. */
function zoneName(seconds: number, offset: number): string {
  const file = zoneFile();
  const names = file === undefined ? undefined : namesOf(file, seconds);
  return names?.find((zone) => zone.offset === offset)?.name ?? offsetText(offset, "");
}

const HEADER_BYTES = 44;

/** Types of local time in the file, the one in force at the time first. */
function namesOf(file: Buffer, seconds: number): Zone[] {
  if (file.toString("latin1", 0, 4) !== "TZif") return [];
  const count = (at: number, index: number): number => file.readUInt32BE(at + 20 + index * 4);
  let start = 0;
  let wide = 4;
  if ((file[4] ?? 0) >= 0x32) {
    // Version 2 repeats all with 64-bit times after the first block.
    const [utc, std, leaps, times, types, chars] = [0, 1, 2, 3, 4, 5].map((index) =>
      count(0, index),
    ) as [number, number, number, number, number, number];
    start = HEADER_BYTES + times * 5 + types * 6 + chars + leaps * 8 + std + utc;
    wide = 8;
  }
  const [times, types] = [count(start, 3), count(start, 4)];
  const timesAt = start + HEADER_BYTES;
  const typesAt = timesAt + times * wide + times;
  const charsAt = typesAt + types * 6;
  const zone = (index: number): Zone => {
    const at = typesAt + index * 6;
    const nameAt = charsAt + (file[at + 5] ?? 0);
    return {
      offset: file.readInt32BE(at),
      name: file.toString("latin1", nameAt, file.indexOf(0, nameAt)),
    };
  };
  const order = Array.from({ length: types }, (_type, index) => index);
  for (let index = 0; index < times; index += 1) {
    const at = timesAt + index * wide;
    const time = wide === 8 ? Number(file.readBigInt64BE(at)) : file.readInt32BE(at);
    if (time <= seconds) order.unshift(file[timesAt + times * wide + index] ?? 0);
  }
  return order.map(zone);
}
