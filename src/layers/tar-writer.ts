import { TiffinError } from "../base/error.ts";
import { encodeFileName } from "../kernel/file-name.ts";
import type { TarEntry, TarEntryType } from "./tar-entry.ts";
import { BLOCK_BYTES } from "./tar-header.ts";

/** What to write; fields left out are 0, "" or the usual mode. Sparse files are written whole. */
export type TarEntryInput = Pick<TarEntry, "type" | "path"> &
  Partial<Omit<TarEntry, "type" | "path" | "position" | "isSparse">>;

const FLAGS: Readonly<Record<TarEntryType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  "character-device": "3",
  "block-device": "4",
  directory: "5",
  fifo: "6",
};

/**
 * The header of an entry: ustar, with a PAX header in front for what ustar cannot say. The same input gives the same
 * bytes. After it come `sizeBytes` of content, {@link tarPadding}, and {@link TAR_END} after the last entry.
 * Directories get a slash at the end of their name.
 */
export function tarHeader(input: TarEntryInput): Uint8Array {
  const path =
    input.type === "directory" && !input.path.endsWith("/") ? `${input.path}/` : input.path;
  const entry = { ...input, path };
  const records = paxRecords(entry);
  if (records.length === 0) return ustarHeader(entry, FLAGS[input.type]);
  const body = Buffer.concat(records);
  const pax = ustarHeader(
    { type: "file", path: "PaxHeaders/entry", mode: 0o644, sizeBytes: body.length },
    "x",
  );
  return Buffer.concat([pax, body, tarPadding(body.length), ustarHeader(entry, FLAGS[input.type])]);
}

const ZEROS = new Uint8Array(BLOCK_BYTES);

/** Zeros that fill content of that size up to a block. */
export function tarPadding(sizeBytes: number): Uint8Array {
  return ZEROS.subarray(0, (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** The end mark: two blocks of zeros. */
export const TAR_END: Uint8Array = new Uint8Array(2 * BLOCK_BYTES);

/** A whole archive in memory, for small ones: entries with their content. */
export function tarArchive(
  entries: readonly (TarEntryInput & { readonly content?: Uint8Array | string })[],
): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { content, ...entry } of entries) {
    const bytes =
      typeof content === "string" ? Buffer.from(content) : (content ?? new Uint8Array());
    parts.push(tarHeader({ ...entry, sizeBytes: bytes.length }), bytes, tarPadding(bytes.length));
  }
  return Buffer.concat([...parts, TAR_END]);
}

const OCTAL_7 = 0o7777777;
const OCTAL_11 = 0o77777777777;
const BILLION = 1_000_000_000n;

function paxRecords(entry: TarEntryInput): Buffer[] {
  const records: Buffer[] = [];
  const add = (key: string, value: Uint8Array | string): void => {
    records.push(paxRecord(key, typeof value === "string" ? encodeFileName(value) : value));
  };
  const mtime = entry.mtimeNs ?? 0n;
  if (splitName(entry.path) === null) add("path", entry.path);
  if (encodeFileName(entry.linkTarget ?? "").length > 100) add("linkpath", entry.linkTarget ?? "");
  if ((entry.sizeBytes ?? 0) > OCTAL_11) add("size", String(entry.sizeBytes));
  if ((entry.uid ?? 0) > OCTAL_7) add("uid", String(entry.uid));
  if ((entry.gid ?? 0) > OCTAL_7) add("gid", String(entry.gid));
  if (mtime < 0n || mtime % BILLION !== 0n || mtime / BILLION > BigInt(OCTAL_11))
    add("mtime", seconds(mtime));
  for (const [name, value] of [...(entry.xattrs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))) {
    add(`SCHILY.xattr.${name}`, value);
  }
  return records;
}

/** One record of a PAX header: `LENGTH KEY=VALUE\n`, where LENGTH counts itself. */
export function paxRecord(key: string, value: Uint8Array): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length)
    length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function seconds(ns: bigint): string {
  const positive = ns < 0n ? -ns : ns;
  const fraction = String(positive % BILLION)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${ns < 0n ? "-" : ""}${positive / BILLION}${fraction === "" ? "" : `.${fraction}`}`;
}

function ustarHeader(entry: TarEntryInput, flag: string): Uint8Array {
  const block = Buffer.alloc(BLOCK_BYTES);
  // What does not fit stands in a PAX header; readers without PAX see the beginning.
  const [prefix, name] = splitName(entry.path) ?? [Buffer.alloc(0), encodeFileName(entry.path)];
  const octal = (value: number, at: number, width: number): void => {
    block.write(
      Math.trunc(value)
        .toString(8)
        .padStart(width - 1, "0"),
      at,
      "latin1",
    );
  };
  name.copy(block, 0, 0, 100);
  octal(entry.mode ?? (entry.type === "directory" ? 0o755 : 0o644), 100, 8);
  octal(capped(entry.uid ?? 0, OCTAL_7), 108, 8);
  octal(capped(entry.gid ?? 0, OCTAL_7), 116, 8);
  octal(capped(entry.sizeBytes ?? 0, OCTAL_11), 124, 12);
  octal(capped(Number((entry.mtimeNs ?? 0n) / BILLION), OCTAL_11), 136, 12);
  block.write("        ", 148, "latin1");
  block.write(flag, 156, "latin1");
  encodeFileName(entry.linkTarget ?? "").copy(block, 157, 0, 100);
  block.write("ustar\x0000", 257, "latin1");
  encodeFileName(entry.userName ?? "").copy(block, 265, 0, 31);
  encodeFileName(entry.groupName ?? "").copy(block, 297, 0, 31);
  octal(deviceNumber(entry.deviceMajor, entry.path), 329, 8);
  octal(deviceNumber(entry.deviceMinor, entry.path), 337, 8);
  prefix.copy(block, 345);
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at++) sum += block[at] ?? 0;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** 0 for what does not fit and stands in the PAX header. */
function capped(value: number, limit: number): number {
  return value > limit || value < 0 ? 0 : value;
}

function deviceNumber(value: number | undefined, path: string): number {
  if ((value ?? 0) <= OCTAL_7) return value ?? 0;
  throw new TiffinError(
    "invalid-argument",
    `Cannot write ${JSON.stringify(path)} to an archive: its device number is too large`,
  );
}

/** A path as ustar's prefix and name, null when it does not fit. */
function splitName(path: string): [prefix: Buffer, name: Buffer] | null {
  const bytes = encodeFileName(path);
  if (bytes.length <= 100) return [Buffer.alloc(0), bytes];
  const slash = bytes.lastIndexOf(0x2f, 155);
  const nameLength = bytes.length - slash - 1;
  if (slash <= 0 || nameLength === 0 || nameLength > 100) return null;
  return [bytes.subarray(0, slash), bytes.subarray(slash + 1)];
}
