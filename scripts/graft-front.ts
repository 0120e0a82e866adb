/**
 * Puts a small program in front of a large one, in one executable: the kernel (or ld.so) starts the small one, which ends by
 * itself or goes on to the large one's start. Both are ELF files for fixed addresses (elf(5)); nothing of the large one is
 * moved, it gets further segments and a new table of them at the end of the file.
 */

const PT_LOAD = 1;
const PT_INTERP = 3;
const PT_PHDR = 6;
const ET_EXEC = 2;
const HEADER_BYTES = 64;
const ENTRY_BYTES = 56;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const SHT_DYNSYM = 11;
/** The largest page of the architectures that we build for. */
const PAGE = 0x1_0000n;

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileBytes: bigint;
  readonly memoryBytes: bigint;
  readonly align: bigint;
}

/**
 * @param program a dynamically linked or static executable
 * @param front a static executable whose addresses lie apart from `program`'s. The 16 bytes before its entry are
 *   overwritten with the addresses of `program`'s `environ` (0 in a static one without symbols) and of its entry.
 * @throws when either is not such a file, their addresses overlap, or `program` shares a libc but not that libc's `environ`
 */
export function graftFront(program: Uint8Array, front: Uint8Array): Uint8Array {
  const segments = segmentsOf(program, "program");
  const grafted = segmentsOf(front, "front").filter(({ type }) => type === PT_LOAD);
  checkApart(segments, grafted);
  const pieces: Uint8Array[] = [program];
  let size = BigInt(program.length);
  const append = (bytes: Uint8Array, address: bigint): bigint => {
    // mmap(2) maps whole pages: a segment's place in the file and its address agree in the page's part.
    const offset = roundUp(size) + (address % PAGE);
    pieces.push(new Uint8Array(Number(offset - size)), bytes);
    size = offset + BigInt(bytes.length);
    return offset;
  };
  const environ = dynamicSymbol(program, "environ");
  if (environ === 0n && segments.some(({ type }) => type === PT_INTERP)) {
    throw new Error(
      "Cannot graft: the program has no environ of its own, which the front may move",
    );
  }
  const resuming = withAddresses(front, grafted, [environ, view(program).getBigUint64(24, true)]);
  const added = grafted.map((segment) => {
    const start = Number(segment.offset);
    const bytes = resuming.slice(start, start + Number(segment.fileBytes));
    return { ...segment, offset: append(bytes, segment.address) };
  });
  const tableAddress = roundUp(endOf(grafted));
  const tableBytes = (segments.length + added.length + 1) * ENTRY_BYTES;
  const tableSize = BigInt(tableBytes);
  const tableOffset = roundUp(size);
  const place = { offset: tableOffset, address: tableAddress };
  const extent = { fileBytes: tableSize, memoryBytes: tableSize };
  const table = [
    ...segments.map((segment) =>
      segment.type === PT_PHDR ? { ...segment, ...place, ...extent } : segment,
    ),
    // Loaded segments stand in the order of their addresses; the others may stand anywhere.
    ...added,
    { type: PT_LOAD, flags: 4, ...place, ...extent, align: PAGE },
  ];
  append(encodeTable(table), tableAddress);
  return finish(Buffer.concat(pieces), view(front).getBigUint64(24, true), {
    offset: tableOffset,
    count: table.length,
  });
}

function finish(
  file: Uint8Array,
  entry: bigint,
  table: { readonly offset: bigint; readonly count: number },
): Uint8Array {
  const header = view(file);
  header.setBigUint64(24, entry, true);
  header.setBigUint64(32, table.offset, true);
  header.setUint16(56, table.count, true);
  return file;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function roundUp(value: bigint): bigint {
  return ((value + PAGE - 1n) / PAGE) * PAGE;
}

function segmentsOf(file: Uint8Array, name: string): Segment[] {
  const bytes = view(file);
  const isElf64 = file.length > HEADER_BYTES && bytes.getUint32(0) === 0x7f454c46 && file[4] === 2;
  if (!isElf64 || bytes.getUint16(16, true) !== ET_EXEC) {
    throw new Error(`Cannot graft: the ${name} is not an ELF executable of fixed addresses`);
  }
  const start = Number(bytes.getBigUint64(32, true));
  return Array.from({ length: bytes.getUint16(56, true) }, (_, index) => {
    const at = start + index * ENTRY_BYTES;
    return {
      type: bytes.getUint32(at, true),
      flags: bytes.getUint32(at + 4, true),
      offset: bytes.getBigUint64(at + 8, true),
      address: bytes.getBigUint64(at + 16, true),
      fileBytes: bytes.getBigUint64(at + 32, true),
      memoryBytes: bytes.getBigUint64(at + 40, true),
      align: bytes.getBigUint64(at + 48, true),
    };
  });
}

function endOf(segments: readonly Segment[]): bigint {
  return segments.reduce((end, { address, memoryBytes }) => {
    const own = address + memoryBytes;
    return own > end ? own : end;
  }, 0n);
}

function checkApart(segments: readonly Segment[], grafted: readonly Segment[]): void {
  const [first] = grafted;
  const end = endOf(segments.filter(({ type }) => type === PT_LOAD));
  if (first === undefined || first.address < roundUp(end)) {
    throw new Error(`Cannot graft: the front has to lie above 0x${end.toString(16)}`);
  }
}

/** The front's bytes, with the two addresses where it looks for them: before its entry. */
function withAddresses(
  front: Uint8Array,
  segments: readonly Segment[],
  addresses: readonly [environ: bigint, resume: bigint],
): Uint8Array {
  const entry = view(front).getBigUint64(24, true);
  const code = segments.find(
    ({ address, fileBytes }) => entry >= address && entry < address + fileBytes,
  );
  if (code === undefined) throw new Error("Cannot graft: the front's entry is in no segment");
  const bytes = Uint8Array.from(front);
  const before = Number(entry - code.address + code.offset) - 16;
  for (const [index, address] of addresses.entries()) {
    view(bytes).setBigUint64(before + index * 8, address, true);
  }
  return bytes;
}

/** Where a dynamic symbol is that the program itself holds (a variable of libc's too: R_X86_64_COPY), or 0. */
function dynamicSymbol(file: Uint8Array, name: string): bigint {
  const bytes = view(file);
  const sections = Number(bytes.getBigUint64(40, true));
  const at = (index: number): number => sections + index * SECTION_BYTES;
  const offsetOf = (index: number): number => Number(bytes.getBigUint64(at(index) + 24, true));
  const wanted = Buffer.from(`${name}\0`);
  for (let section = 0; section < bytes.getUint16(60, true); section++) {
    if (bytes.getUint32(at(section) + 4, true) !== SHT_DYNSYM) continue;
    const names = offsetOf(bytes.getUint32(at(section) + 40, true));
    const start = offsetOf(section);
    const end = start + Number(bytes.getBigUint64(at(section) + 32, true));
    for (let symbol = start; symbol < end; symbol += SYMBOL_BYTES) {
      const text = names + bytes.getUint32(symbol, true);
      if (wanted.equals(file.subarray(text, text + wanted.length))) {
        return bytes.getBigUint64(symbol + 8, true);
      }
    }
  }
  return 0n;
}

function encodeTable(table: readonly Segment[]): Uint8Array {
  const bytes = new Uint8Array(table.length * ENTRY_BYTES);
  const to = view(bytes);
  for (const [index, segment] of table.entries()) {
    const at = index * ENTRY_BYTES;
    to.setUint32(at, segment.type, true);
    to.setUint32(at + 4, segment.flags, true);
    const words = [segment.offset, segment.address, segment.address];
    for (const [word, value] of [
      ...words,
      segment.fileBytes,
      segment.memoryBytes,
      segment.align,
    ].entries())
      to.setBigUint64(at + 8 + word * 8, value, true);
  }
  return bytes;
}
