import { TiffinError } from "../base/error.ts";

/** Docker's framing of output: one byte stream, three zeros, four bytes length (API reference, "Stream format"). */
const HEADER_BYTES = 8;
const STDERR = 2;
const SYSTEM_ERROR = 3;
/** Pieces of one stream are joined up to this size before they are written: one system call for many lines. */
const JOIN_BYTES = 128 << 10;

/** Takes output apart. `onSystemError` frames (the engine's own words on a stream) are thrown as errors. */
export interface Sinks {
  out(data: Uint8Array): Promise<void>;
  error(data: Uint8Array): Promise<void>;
}

/**
 * Reads framed output to its end and hands each stream's bytes on, in order.
 *
 * @throws internal for a frame of an unknown stream, or one that the engine sent as an error
 */
export async function demultiplex(input: AsyncIterable<Uint8Array>, sinks: Sinks): Promise<void> {
  const joiner = new Joiner(sinks);
  const header = Buffer.alloc(HEADER_BYTES);
  let headerFilled = 0;
  let stream = 0;
  let left = 0;
  for await (const chunk of input) {
    let at = 0;
    while (at < chunk.length) {
      if (left > 0) {
        const end = Math.min(at + left, chunk.length);
        if (joiner.isFull(stream, end - at)) await joiner.flush();
        joiner.add(stream, chunk, at, end);
        left -= end - at;
        at = end;
        continue;
      }
      if (headerFilled === 0 && chunk.length - at >= HEADER_BYTES) {
        // The usual case, without a copy: the whole header is in this chunk.
        stream = chunk[at] as number;
        left = length(chunk, at + 4);
        at += HEADER_BYTES;
      } else {
        header[headerFilled] = chunk[at] as number;
        headerFilled += 1;
        at += 1;
        if (headerFilled < HEADER_BYTES) continue;
        headerFilled = 0;
        stream = header[0] as number;
        left = length(header, 4);
      }
      if (stream > SYSTEM_ERROR) throw unknownStream(stream);
    }
    await joiner.flush();
  }
}

function length(bytes: Uint8Array, at: number): number {
  const [a = 0, b = 0, c = 0, d = 0] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Joins neighbouring pieces of the same stream. */
class Joiner {
  readonly #sinks: Sinks;
  readonly #buffer = Buffer.allocUnsafe(JOIN_BYTES);
  #filled = 0;
  #stream = 0;
  /** A piece that is too large to be worth a copy. */
  #large: Uint8Array | undefined;

  constructor(sinks: Sinks) {
    this.#sinks = sinks;
  }

  isFull(stream: number, size: number): boolean {
    if (this.#large !== undefined) return true;
    return this.#filled > 0 && (stream !== this.#stream || this.#filled + size > JOIN_BYTES);
  }

  add(stream: number, bytes: Uint8Array, from: number, to: number): void {
    this.#stream = stream;
    if (to - from > JOIN_BYTES) {
      this.#large = bytes.subarray(from, to);
      return;
    }
    // Small pieces by hand: a call of set() costs more than copying a line.
    const buffer = this.#buffer;
    let at = this.#filled;
    if (to - from < 48)
      for (let index = from; index < to; index += 1) buffer[at++] = bytes[index] as number;
    else buffer.set(bytes.subarray(from, to), at);
    this.#filled += to - from;
  }

  async flush(): Promise<void> {
    const data = this.#large ?? this.#buffer.subarray(0, this.#filled);
    this.#large = undefined;
    this.#filled = 0;
    if (data.length === 0) return;
    if (this.#stream === SYSTEM_ERROR) throw new TiffinError("internal", data.toString());
    await (this.#stream === STDERR ? this.#sinks.error(data) : this.#sinks.out(data));
  }
}

function unknownStream(stream: number): TiffinError {
  return new TiffinError(
    "internal",
    `Cannot read the container's output: stream ${stream} is unknown`,
    {
      hint: "The other side may be a terminal: its bytes come without frames",
    },
  );
}
