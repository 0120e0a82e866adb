import { TiffinError } from "../base/error.ts";
import { badArchive, BLOCK_BYTES, type TarHeader } from "./tar-header.ts";
import { mergePaxFields, noPaxFields, type PaxFields } from "./tar-pax.ts";
import { type SparseRun, sparseRuns } from "./tar-sparse.ts";

export type TarEntryType =
  | "file"
  | "hardlink"
  | "symlink"
  | "character-device"
  | "block-device"
  | "directory"
  | "fifo";

/** One entry of an archive, with its PAX and GNU extensions applied. */
export interface TarEntry {
  readonly type: TarEntryType;
  /** As it is written, perhaps with `./` in front or `/` at the end; bytes that are no UTF-8 as kernel/file-name.ts has them. */
  readonly path: string;
  /** Of hard links and symbolic links, else "". */
  readonly linkTarget: string;
  /** Permission bits, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  readonly mtimeNs: bigint;
  /** Of a file, holes counted; 0 for all others. */
  readonly sizeBytes: number;
  readonly isSparse: boolean;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
  /** Byte of the (uncompressed) archive at which its header starts; -1 where there is no archive. */
  readonly position: number;
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  S: "file",
  // A directory of an incremental dump; its data is a list of names.
  D: "directory",
  "1": "hardlink",
  "2": "symlink",
  "3": "character-device",
  "4": "block-device",
  "5": "directory",
  "6": "fifo",
};

/** Collects what several headers say of one entry. */
export class TarEntryBuilder {
  private global: PaxFields = noPaxFields();
  private local: PaxFields | null = null;
  private longName: string | null = null;
  private longLink: string | null = null;
  private header: TarHeader | null = null;
  private fields: PaxFields = noPaxFields();
  private position = 0;
  private mapBytes = 0;

  /** Extensions were read and their entry was not. */
  get hasExtensions(): boolean {
    return this.local !== null || this.longName !== null || this.longLink !== null;
  }

  get hasSparseMapInData(): boolean {
    return this.fields.sparse.major === "1" && this.fields.sparse.minor === "0";
  }

  setLongName(name: string): void {
    this.longName = name;
  }

  setLongLink(name: string): void {
    this.longLink = name;
  }

  addPax(fields: PaxFields, isGlobal: boolean, position: number): void {
    if (!isGlobal) {
      this.local = this.local === null ? fields : mergePaxFields(this.local, fields);
      return;
    }
    // One name or size for all entries is nonsense, and readers that disagree about it would see different files.
    const { path, linkPath, size, sparse } = fields;
    if ((path ?? linkPath ?? size) !== undefined || Object.keys(sparse).length > 0) {
      throw badArchive(position, "a global PAX header sets a name or a size");
    }
    this.global = mergePaxFields(this.global, fields);
  }

  begin(header: TarHeader, position: number): void {
    this.header = header;
    this.position = position;
    this.mapBytes = 0;
    this.fields =
      this.local === null
        ? { ...this.global, sparse: {} }
        : mergePaxFields(this.global, this.local);
  }

  beginOldSparse(realSize: number): void {
    this.fields = { ...this.fields, sparse: { realSize, map: [] } };
  }

  addSparseNumbers(numbers: readonly number[], position: number): void {
    const map = (this.fields.sparse.map ??= []);
    if (map.length + numbers.length > 2_000_000)
      throw badArchive(position, "a sparse map is too long");
    for (const number of numbers) map.push(number);
  }

  /** One block of the stored data was a sparse map. */
  countSparseMapBlock(position: number): void {
    this.mapBytes += BLOCK_BYTES;
    if (this.mapBytes > this.storedSize()) throw badArchive(position, "a sparse map does not end");
  }

  /** The entry (null when it is of a kind to skip), where its data belongs, and how many bytes of data follow in all. */
  build(): { entry: TarEntry | null; runs: readonly SparseRun[]; storedBytes: number } {
    const header = this.header;
    if (header === null) throw new TiffinError("internal", "No tar header was read");
    const name = this.fields.sparse.name ?? this.fields.path ?? this.longName ?? header.name;
    const linkTarget = this.fields.linkPath ?? this.longLink ?? header.linkName;
    this.local = null;
    this.longName = null;
    this.longLink = null;
    const dataBytes = this.storedSize() - this.mapBytes;
    if (dataBytes < 0)
      throw badArchive(this.position, `entry ${JSON.stringify(name)} has a negative size`);
    // The size of what cannot hold data is noise in real archives (some writers put the size of a link's target there).
    const storedBytes = /[1-6]/.test(header.type) ? 0 : dataBytes;
    // A volume's label says nothing about the tree.
    if (header.type === "V") return { entry: null, runs: [], storedBytes };
    const type = this.typeOf(header, name);
    const runs = type === "file" ? this.runsOf(storedBytes) : [];
    return {
      entry: this.entry(header, { type, name, linkTarget, storedBytes }),
      runs,
      storedBytes,
    };
  }

  private storedSize(): number {
    return this.fields.size ?? this.header?.size ?? 0;
  }

  private typeOf(header: TarHeader, name: string): TarEntryType {
    const type = TYPES[header.type];
    if (type === undefined) {
      const problem = `entry ${JSON.stringify(name)} is of the unknown type ${JSON.stringify(header.type)}`;
      throw badArchive(this.position, problem);
    }
    // Before POSIX a directory was a file with a slash at the end of its name.
    return type === "file" && name.endsWith("/") ? "directory" : type;
  }

  private get isSparse(): boolean {
    return this.fields.sparse.map !== undefined && this.fields.sparse.realSize !== undefined;
  }

  private runsOf(storedSize: number): readonly SparseRun[] {
    const { realSize, map } = this.fields.sparse;
    if (realSize === undefined || map === undefined) {
      return storedSize > 0 ? [{ offset: 0, length: storedSize }] : [];
    }
    return sparseRuns(map, { realSize, storedSize, position: this.position });
  }

  private entry(
    header: TarHeader,
    what: { type: TarEntryType; name: string; linkTarget: string; storedBytes: number },
  ): TarEntry {
    const { fields } = this;
    const isFile = what.type === "file";
    const isSparse = isFile && this.isSparse;
    const isLink = what.type === "hardlink" || what.type === "symlink";
    return {
      type: what.type,
      path: what.name,
      linkTarget: isLink ? what.linkTarget : "",
      mode: header.mode,
      uid: fields.uid ?? header.uid,
      gid: fields.gid ?? header.gid,
      userName: fields.userName ?? header.userName,
      groupName: fields.groupName ?? header.groupName,
      mtimeNs: fields.mtimeNs ?? BigInt(header.mtimeSeconds) * 1_000_000_000n,
      sizeBytes: isSparse ? (fields.sparse.realSize ?? 0) : isFile ? what.storedBytes : 0,
      isSparse,
      deviceMajor: header.deviceMajor,
      deviceMinor: header.deviceMinor,
      xattrs: fields.xattrs,
      position: this.position,
    };
  }
}
