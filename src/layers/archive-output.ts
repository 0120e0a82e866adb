import { ChunkPacker } from "./chunk-packer.ts";
import { TAR_END, type TarEntryInput, tarHeader, tarPadding } from "./tar-writer.ts";

/** Where the entries of a tree go, in their order; those with a size are followed by their content and its end. */
export interface ArchiveOutput {
  entry(input: TarEntryInput): void;
  /** Memory for content, at most `wanted` bytes; {@link took} says how many were put there. */
  space(wanted: number): Uint8Array;
  took(bytes: number): void;
  endContent(sizeBytes: number): void;
  /** Chunks that are full; they are the caller's from now on. */
  takeFull(): Uint8Array[];
  /** After the last entry: all that is left. */
  finish(): Uint8Array[];
}

/** A tar archive in chunks. */
export class TarOutput implements ArchiveOutput {
  private readonly packer = new ChunkPacker();

  entry(input: TarEntryInput): void {
    this.packer.add(tarHeader(input));
  }

  space(wanted: number): Uint8Array {
    return this.packer.space(wanted);
  }

  took(bytes: number): void {
    this.packer.took(bytes);
  }

  endContent(sizeBytes: number): void {
    this.packer.add(tarPadding(sizeBytes));
  }

  takeFull(): Uint8Array[] {
    return this.packer.takeFull();
  }

  finish(): Uint8Array[] {
    this.packer.add(TAR_END);
    return this.packer.finish();
  }
}
