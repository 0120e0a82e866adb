import { TiffinError } from "../base/error.ts";

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
/** Docker's servers write a few hexadecimal digits; more is no HTTP. */
const MAX_SIZE_DIGITS = 12;

/** What comes next: a chunk's size, the rest of that line, its bytes, the line end after them, lines of trailers. */
type Place = "size" | "extension" | "data" | "data-end" | "trailer";

/**
 * Takes the chunked framing off (RFC 9112, section 7.1). Many small chunks in one read, such as lines of a log, come out as
 * one piece: the bytes are moved together where they are, without a new buffer.
 */
export class ChunkDecoder {
  #place: Place = "size";
  #left = 0;
  #digits = 0;
  #trailerBytes = 0;
  isDone = false;

  /** The body's bytes in what was read (its memory is used again), and what follows the body. @throws internal */
  decode(bytes: Buffer): { data: Buffer; rest: Buffer } {
    let at = 0;
    let filled = 0;
    while (at < bytes.length && !this.isDone) {
      if (this.#place === "data") {
        const end = Math.min(at + this.#left, bytes.length);
        if (filled !== at) bytes.copyWithin(filled, at, end);
        filled += end - at;
        this.#left -= end - at;
        at = end;
        if (this.#left === 0) this.#place = "data-end";
      } else {
        this.#step(bytes[at] as number);
        at += 1;
      }
    }
    return { data: bytes.subarray(0, filled), rest: bytes.subarray(at) };
  }

  #step(byte: number): void {
    switch (this.#place) {
      case "size":
        this.#size(byte);
        return;
      case "extension":
        if (byte === LF) this.#startData();
        return;
      case "trailer":
        this.#trailer(byte);
        return;
      default:
        if (byte === LF) this.#place = "size";
        else if (byte !== CR) throw malformed("a chunk is longer than its size");
    }
  }

  #size(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#left = this.#left * 16 + digit;
      this.#digits += 1;
      if (this.#digits > MAX_SIZE_DIGITS) throw malformed("a chunk's size is too long");
      return;
    }
    if (this.#digits === 0) throw malformed("a chunk has no size");
    if (byte === LF) this.#startData();
    else if (byte === CR || byte === SEMICOLON || byte === 32) this.#place = "extension";
    else throw malformed("a chunk has no size");
  }

  #startData(): void {
    this.#digits = 0;
    this.#place = this.#left === 0 ? "trailer" : "data";
  }

  /** An empty line ends the trailers, and the body. */
  #trailer(byte: number): void {
    if (byte === CR) return;
    if (byte !== LF) this.#trailerBytes += 1;
    else if (this.#trailerBytes === 0) this.isDone = true;
    else this.#trailerBytes = 0;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** What answers is no HTTP server, or a broken one. */
export function malformed(why: string): TiffinError {
  return new TiffinError("internal", `Cannot read the engine's answer: ${why}`, {
    hint: "Check --host: another program may be listening there",
  });
}
