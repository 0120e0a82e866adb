import type { ArchiveOutput } from "./archive-output.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarEntryInput } from "./tar-writer.ts";
import type { TreeWriter } from "./tree-writer.ts";

const SPACE_BYTES = 1024 * 1024;
const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
const NOTHING: Uint8Array[] = [];

/** Unpacks at once what would have become an archive. */
export class DirectOutput implements ArchiveOutput {
  private readonly writer: TreeWriter;
  private readonly memory = Buffer.allocUnsafeSlow(SPACE_BYTES);
  private offset = 0;

  constructor(writer: TreeWriter) {
    this.writer = writer;
  }

  entry(input: TarEntryInput): void {
    this.offset = 0;
    this.writer.take({ kind: "entry", entry: whole(input) });
  }

  space(wanted: number): Uint8Array {
    return this.memory.subarray(0, wanted);
  }

  took(bytes: number): void {
    this.writer.take({ kind: "data", data: this.memory.subarray(0, bytes), offset: this.offset });
    this.offset += bytes;
  }

  endContent(): void {
    this.writer.take({ kind: "end" });
  }

  takeFull(): Uint8Array[] {
    return NOTHING;
  }

  finish(): Uint8Array[] {
    this.writer.finish();
    return NOTHING;
  }
}

function whole(input: TarEntryInput): TarEntry {
  return {
    type: input.type,
    path: input.path,
    linkTarget: input.linkTarget ?? "",
    mode: input.mode ?? 0,
    uid: input.uid ?? 0,
    gid: input.gid ?? 0,
    userName: "",
    groupName: "",
    mtimeNs: input.mtimeNs ?? 0n,
    sizeBytes: input.sizeBytes ?? 0,
    isSparse: false,
    deviceMajor: input.deviceMajor ?? 0,
    deviceMinor: input.deviceMinor ?? 0,
    xattrs: input.xattrs ?? NO_XATTRS,
    position: -1,
  };
}
