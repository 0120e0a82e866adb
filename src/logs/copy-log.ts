import { logBlocks } from "./log-blocks.ts";
import { isPart, isRecord, isStderr, NEWLINE, PREFIX_BYTES, STAMP_BYTES } from "./log-record.ts";
import type { LogControl, LogRequest } from "./log-request.ts";

export interface CopyRequest extends LogRequest {
  /**
   * `multiplexed`: docker's stream format (Engine API, "Attach to a container"), frames of 8 bytes (stream 1 or 2, three
   * zeros, length as 32 bits big-endian) and their payload. `raw`: the text alone, for a terminal's log.
   */
  readonly format: "multiplexed" | "raw";
  /** Put the time and a blank before each line. */
  readonly timestamps: boolean;
  /** Put this before each line, behind its time. */
  readonly linePrefix?: Uint8Array;
  /**
   * One frame a line, as docker does and some clients rely on; else neighbouring lines of a stream share a frame, which
   * is quicker to take apart.
   */
  readonly framePerLine: boolean;
}

/**
 * Reads a container's log as {@link readLog} does, into large chunks that are ready to be sent. A line that was too long for
 * one record comes out whole.
 */
export async function* copyLog(
  directory: string,
  request: CopyRequest,
  control: LogControl = {},
): AsyncGenerator<Uint8Array, void> {
  const copier = new Copier(request);
  for await (const block of logBlocks(directory, request, control)) {
    const chunk = copier.copy(block);
    if (chunk.length > 0) yield chunk;
  }
}

const FRAME_HEADER_BYTES = 8;
const NOTHING = new Uint8Array(0);

function countLines(block: Buffer): number {
  let lines = 0;
  for (let at = block.indexOf(NEWLINE); at >= 0; at = block.indexOf(NEWLINE, at + 1)) lines += 1;
  return lines;
}

class Copier {
  readonly #request: CopyRequest;
  /** Whether the next record of the stream goes on with a line; by 0 for stdout and 1 for stderr. */
  readonly #isWithinLine = [false, false];

  constructor(request: CopyRequest) {
    this.#request = request;
  }

  /** Without a prefix a record's output is never longer than the record: 8 + 31 bytes replace its prefix of 40. */
  copy(block: Buffer): Buffer {
    const { stdout, stderr, timestamps, framePerLine, format } = this.#request;
    const { linePrefix = NOTHING } = this.#request;
    const isFramed = format === "multiplexed";
    const more = linePrefix.length === 0 ? 0 : linePrefix.length * countLines(block);
    const output = Buffer.allocUnsafe(block.length + more);
    let used = 0;
    let frame = -1;
    let frameStream = -1;
    for (let at = 0, next = 0; at < block.length; at = next) {
      const end = block.indexOf(NEWLINE, at);
      next = end + 1;
      if (!isRecord(block, at, end)) continue;
      const stream = isStderr(block, at) ? 1 : 0;
      if (stream === 1 ? !stderr : !stdout) continue;
      if (isFramed && (framePerLine || stream !== frameStream)) {
        if (frame >= 0) writeFrameHeader(output, frame, used, frameStream);
        frame = used;
        frameStream = stream;
        used += FRAME_HEADER_BYTES;
      }
      const isOnlyPart = isPart(block, at);
      const isLineStart = this.#isWithinLine[stream] !== true;
      if (timestamps && isLineStart) {
        // The blank behind the time is the record's own.
        used += block.copy(output, used, at, at + STAMP_BYTES + 1);
      }
      if (isLineStart) {
        output.set(linePrefix, used);
        used += linePrefix.length;
      }
      this.#isWithinLine[stream] = isOnlyPart;
      used += block.copy(output, used, at + PREFIX_BYTES, isOnlyPart ? end : next);
    }
    if (frame >= 0) writeFrameHeader(output, frame, used, frameStream);
    return output.subarray(0, used);
  }
}

function writeFrameHeader(output: Buffer, at: number, end: number, stream: number): void {
  output.writeUInt32BE((stream + 1) * 0x1000000, at);
  output.writeUInt32BE(end - at - FRAME_HEADER_BYTES, at + 4);
}
