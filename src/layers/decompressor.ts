import { constants, createGunzip, createZstdDecompress } from "node:zlib";
import { type Compression, compressionOf, damagedArchive, MAGIC_BYTES } from "./decompress.ts";

const OUTPUT_BYTES = 256 * 1024;

/**
 * The part of a zlib stream of Node's (and Bun's) that decompresses on the caller's thread into the caller's memory. It is in no
 * manual, and has been the same since Node 11; docs/decisions/0014 says why it is worth that.
 */
interface Handle {
  /** Calls its `onerror` with the library's words when it fails. */
  writeSync(
    flush: number,
    input: Uint8Array,
    inputOffset: number,
    inputLength: number,
    output: Uint8Array,
    outputOffset: number,
    outputLength: number,
  ): void;
  close(): void;
}

interface Inflater {
  readonly _handle: Handle;
  /** After a call: bytes of the output that are free, bytes of the input that were not taken. */
  readonly _writeState: Uint32Array;
}

/**
 * Decompresses what it is given piece by piece, on the caller's thread and into one piece of memory: for threads that do nothing
 * else. gzip, zstd (several members or frames too) and plain bytes are told apart by the first ones, as by `decompress`.
 */
export class Decompressor {
  readonly #take: (bytes: Uint8Array) => void;
  readonly #output: Uint8Array = Buffer.allocUnsafeSlow(OUTPUT_BYTES);
  #start: Uint8Array = new Uint8Array();
  #compression: Compression | null = null;
  #inflater: Inflater | null = null;
  #problem: string | null = null;
  /** The compressed data has ended; what follows is padding. */
  #isOver = false;

  /** `take` gets the bytes as they come; each piece is valid until it returns. */
  constructor(take: (bytes: Uint8Array) => void) {
    this.#take = take;
  }

  /** @throws invalid-argument when the data is damaged; what `take` throws */
  push(bytes: Uint8Array): void {
    if (this.#compression !== null) this.#pass(bytes);
    else {
      this.#start = Buffer.concat([this.#start, bytes]);
      if (this.#start.length >= MAGIC_BYTES) this.#begin();
    }
  }

  /** The input has ended. @throws invalid-argument when it ended too early; what `take` throws */
  finish(): void {
    if (this.#compression === null) this.#begin();
    if (this.#inflater === null || this.#isOver) return;
    const flush =
      this.#compression === "gzip" ? constants.Z_FINISH : (constants["ZSTD_e_end"] ?? 2);
    this.#inflate(new Uint8Array(1), 0, flush);
  }

  close(): void {
    this.#inflater?._handle.close();
    this.#inflater = null;
  }

  #begin(): void {
    this.#compression = compressionOf(this.#start);
    if (this.#compression !== "none") {
      const stream = this.#compression === "gzip" ? createGunzip() : createZstdDecompress();
      this.#inflater = stream as unknown as Inflater;
      const told = (message: string): void => {
        this.#problem = message;
      };
      Object.assign(this.#inflater._handle, { onerror: told });
    }
    if (this.#start.length > 0) this.#pass(this.#start);
    this.#start = new Uint8Array();
  }

  #pass(bytes: Uint8Array): void {
    if (this.#compression === "none") this.#take(bytes);
    else if (!this.#isOver) this.#inflate(bytes, bytes.length, constants.Z_NO_FLUSH);
  }

  #inflate(input: Uint8Array, length: number, flush: number): void {
    if (this.#inflater === null) return;
    const { _handle: handle, _writeState: state } = this.#inflater;
    const output = this.#output;
    let rest = length;
    for (;;) {
      handle.writeSync(flush, input, length - rest, rest, output, 0, output.length);
      if (this.#problem !== null)
        throw damagedArchive(this.#compression ?? "none", new Error(this.#problem));
      const [free = 0, left = 0] = state;
      if (free < output.length) this.#take(output.subarray(0, output.length - free));
      rest = left;
      if (free > 0) break;
    }
    this.#isOver = rest > 0;
  }
}
