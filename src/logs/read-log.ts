import { logBlocks } from "./log-blocks.ts";
import {
  isPart,
  isRecord,
  isStderr,
  type LogStream,
  NEWLINE,
  PREFIX_BYTES,
  stampAt,
} from "./log-record.ts";
import type { LogControl, LogRequest } from "./log-request.ts";

export interface LogLine {
  readonly stream: LogStream;
  /** RFC 3339 with nanoseconds, as the log holds it. */
  readonly timestamp: string;
  /** The bytes as written: with the newline, unless it is a part of a line (longer than the supervisor's buffer, or unfinished at the end). */
  readonly data: Uint8Array;
}

/**
 * Reads a container's log, oldest first, in batches; rotated and compressed files are part of it. A missing directory is
 * an empty log. For bulk see copyLog.
 *
 * Without `follow` it ends at what was there at the call. With it, it ends after `control.ended` has resolved and all was
 * read, at `untilNano`, or when the signal is aborted. Stop early by leaving the loop: files are closed.
 *
 * @throws data-loss when a compressed file is damaged; internal when a file cannot be read
 */
export async function* readLog(
  directory: string,
  request: LogRequest,
  control: LogControl = {},
): AsyncGenerator<LogLine[], void> {
  for await (const block of logBlocks(directory, request, control)) {
    // The lines point into the bytes, and the block's memory is used again.
    const lines = linesOf(Buffer.from(block), request);
    if (lines.length > 0) yield lines;
  }
}

function linesOf(block: Buffer, { stdout, stderr }: LogRequest): LogLine[] {
  const lines: LogLine[] = [];
  for (let at = 0; at < block.length; ) {
    const end = block.indexOf(NEWLINE, at);
    if (isRecord(block, at, end)) {
      const stream = isStderr(block, at) ? "stderr" : "stdout";
      if (stream === "stderr" ? stderr : stdout) {
        const data = block.subarray(at + PREFIX_BYTES, isPart(block, at) ? end : end + 1);
        lines.push({ stream, timestamp: stampAt(block, at), data });
      }
    }
    at = end + 1;
  }
  return lines;
}
