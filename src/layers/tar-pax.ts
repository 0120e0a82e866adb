import { decodeFileName } from "../kernel/file-name.ts";
import { badArchive } from "./tar-header.ts";

/** What PAX records say of an entry; absent: the header's own field holds. */
export interface PaxFields {
  path?: string;
  linkPath?: string;
  size?: number;
  uid?: number;
  gid?: number;
  userName?: string;
  groupName?: string;
  mtimeNs?: bigint;
  xattrs: Map<string, Uint8Array>;
  sparse: SparseFields;
}

/** GNU's sparse files in PAX form, versions 0.0 (pairs), 0.1 (map) and 1.0 (map in front of the data). */
export interface SparseFields {
  major?: string;
  minor?: string;
  name?: string;
  realSize?: number;
  /** offset, length, offset, length ... */
  map?: number[];
}

export function noPaxFields(): PaxFields {
  return { xattrs: new Map(), sparse: {} };
}

/** `later` over `earlier`: an extended header over a global one. */
export function mergePaxFields(earlier: PaxFields, later: PaxFields): PaxFields {
  const xattrs = new Map([...earlier.xattrs, ...later.xattrs]);
  return { ...earlier, ...later, xattrs, sparse: { ...earlier.sparse, ...later.sparse } };
}

/**
 * Reads `LENGTH KEY=VALUE\n` records into fields. Unknown keys are left out, as POSIX asks.
 * Source: POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files".
 */
export function parsePax(body: Uint8Array, position: number): PaxFields {
  const fields = noPaxFields();
  let at = 0;
  while (at < body.length) {
    // Some writers fill the rest of the body with NULs.
    if (body[at] === 0 && body.subarray(at).every((byte) => byte === 0)) break;
    const space = body.indexOf(0x20, at);
    const digits = space < 0 ? "" : ascii(body.subarray(at, space));
    const length = /^[0-9]{1,10}$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = space < 0 ? -1 : body.indexOf(0x3d, space);
    if (end > body.length || equals <= space || equals >= end || body[end - 1] !== 0x0a) {
      throw badArchive(position, "a PAX header has a malformed record");
    }
    applyRecord(
      fields,
      ascii(body.subarray(space + 1, equals)),
      body.slice(equals + 1, end - 1),
      position,
    );
    at = end;
  }
  return fields;
}

function applyRecord(fields: PaxFields, key: string, value: Uint8Array, position: number): void {
  if (key.startsWith("SCHILY.xattr.")) {
    fields.xattrs.set(key.slice("SCHILY.xattr.".length), value);
  } else if (key.startsWith("LIBARCHIVE.xattr.")) {
    const name = unescapeName(key.slice("LIBARCHIVE.xattr.".length), position);
    // An attribute written in both forms is the same one; star's form needs no decoding.
    if (!fields.xattrs.has(name)) fields.xattrs.set(name, Buffer.from(ascii(value), "base64"));
  } else if (key.startsWith("GNU.sparse.")) {
    applySparse(fields.sparse, key.slice("GNU.sparse.".length), value, position);
  } else if (value.length > 0) {
    applyPlain(fields, key, value, position);
  }
}

function applyPlain(fields: PaxFields, key: string, value: Uint8Array, position: number): void {
  switch (key) {
    case "path":
      fields.path = nameOf(value, position);
      break;
    case "linkpath":
      fields.linkPath = nameOf(value, position);
      break;
    case "uname":
      fields.userName = nameOf(value, position);
      break;
    case "gname":
      fields.groupName = nameOf(value, position);
      break;
    case "size":
      fields.size = count(value, key, position);
      break;
    case "uid":
      fields.uid = count(value, key, position);
      break;
    case "gid":
      fields.gid = count(value, key, position);
      break;
    case "mtime":
      fields.mtimeNs = time(ascii(value), position);
      break;
    default:
  }
}

function applySparse(sparse: SparseFields, key: string, value: Uint8Array, position: number): void {
  switch (key) {
    case "major":
      sparse.major = ascii(value);
      break;
    case "minor":
      sparse.minor = ascii(value);
      break;
    case "name":
      sparse.name = nameOf(value, position);
      break;
    case "size":
    case "realsize":
      sparse.realSize = count(value, key, position);
      break;
    case "map":
      sparse.map = ascii(value)
        .split(",")
        .map((part) => count(Buffer.from(part, "latin1"), "sparse map", position));
      break;
    case "offset":
    case "numbytes":
      (sparse.map ??= []).push(count(value, key, position));
      break;
    default:
  }
}

function ascii(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

function nameOf(value: Uint8Array, position: number): string {
  if (value.includes(0)) throw badArchive(position, "a name in a PAX header holds a NUL byte");
  return decodeFileName(value);
}

function count(value: Uint8Array, key: string, position: number): number {
  const digits = ascii(value);
  const number = Number(digits);
  if (!/^[0-9]+$/.test(digits) || !Number.isSafeInteger(number)) {
    throw badArchive(position, `the ${key} ${JSON.stringify(digits)} in a PAX header is no count`);
  }
  return number;
}

/** Seconds with a fraction, perhaps negative, as nanoseconds. */
function time(value: string, position: number): bigint {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value);
  if (match === null) {
    throw badArchive(position, `the time ${JSON.stringify(value)} in a PAX header is malformed`);
  }
  const fraction = (match[3] ?? "").padEnd(9, "0").slice(0, 9);
  const nanoseconds = BigInt(match[2] ?? "0") * 1_000_000_000n + BigInt(fraction);
  return match[1] === "-" ? -nanoseconds : nanoseconds;
}

function unescapeName(escaped: string, position: number): string {
  try {
    return decodeURIComponent(escaped);
  } catch {
    throw badArchive(position, `the attribute name ${JSON.stringify(escaped)} is malformed`);
  }
}
