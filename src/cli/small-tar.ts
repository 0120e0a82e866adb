/*
 * Archives of a few small files, as contexts are exchanged in: plain ustar headers, no links, no long names. Layers have a
 * reader of their own (layers/tar-reader.ts), which the command line does not load.
 */

const BLOCK = 512;

export interface SmallFile {
  readonly name: string;
  /** Permission bits. */
  readonly mode: number;
  /** Null: a directory. */
  readonly bytes: Uint8Array | null;
}

export function writeSmallTar(files: readonly SmallFile[]): Buffer {
  const blocks = files.flatMap(({ name, mode, bytes }) => {
    const size = bytes?.length ?? 0;
    const body = Buffer.alloc(Math.ceil(size / BLOCK) * BLOCK);
    if (bytes !== null) body.set(bytes);
    return [header(name, mode, bytes === null ? null : size), body];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, mode: number, size: number | null): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, width: number): void => {
    block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  };
  block.write(name, 0, 100, "utf8");
  octal(mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(size ?? 0, 124, 12);
  octal(0, 136, 12);
  block.write("        ", 148, "latin1");
  block.write(size === null ? "5" : "0", 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  octal(checksum(block), 148, 7);
  return block;
}

/** The sum of a header's bytes, its own field taken as spaces (POSIX pax, "ustar Interchange Format"). */
function checksum(block: Buffer): number {
  return block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}

/** The regular files of an archive. @throws an error with the reason when it is none */
export function readSmallTar(archive: Buffer): SmallFile[] {
  const files: SmallFile[] = [];
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const block = archive.subarray(at, at + BLOCK);
    if (block.every((byte) => byte === 0)) break;
    if (octalOf(block, 148, 8) !== checksum(block)) throw new Error("it is no tar archive");
    const size = octalOf(block, 124, 12);
    const end = at + BLOCK + size;
    if (end > archive.length) throw new Error("it is cut off");
    const type = String.fromCharCode(block[156] ?? 0);
    if (type === "0" || type === "\0") {
      const bytes = archive.subarray(at + BLOCK, end);
      files.push({ name: textOf(block, 0, 100), mode: octalOf(block, 100, 8), bytes });
    }
    at = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  if (files.length === 0) throw new Error("it is no tar archive");
  return files;
}

function textOf(block: Buffer, at: number, width: number): string {
  return block.toString("utf8", at, at + width).split("\0", 1)[0] ?? "";
}

function octalOf(block: Buffer, at: number, width: number): number {
  const text = textOf(block, at, width).trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : -1;
}
