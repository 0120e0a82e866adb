import { TiffinError } from "../base/error.ts";
import { ChunkDecoder, malformed } from "./client-chunks.ts";
import type { Connection } from "./client-connection.ts";

export interface ResponseHead {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

const MAX_HEAD_BYTES = 64 << 10;

/**
 * Reads the head of a response (RFC 9112), passing over interim ones (1xx) except 101, which is an answer.
 *
 * @throws unavailable when the connection ends first, internal when it is no HTTP
 */
export async function readHead(connection: Connection): Promise<ResponseHead> {
  for (;;) {
    const head = parseHead(await readUntilBlankLine(connection));
    if (head.status === 101 || head.status >= 200) return head;
  }
}

async function readUntilBlankLine(connection: Connection): Promise<string> {
  let buffer: Buffer = Buffer.alloc(0);
  for (;;) {
    const end = buffer.indexOf("\r\n\r\n");
    if (end >= 0) {
      connection.unread(buffer.subarray(end + 4));
      return buffer.toString("latin1", 0, end);
    }
    if (buffer.length > MAX_HEAD_BYTES) throw malformed("its header is too long");
    const chunk = await connection.read();
    if (chunk === undefined) {
      throw new TiffinError("unavailable", "The engine closed the connection without an answer", {
        hint: "Look into the engine's log",
      });
    }
    buffer = buffer.length === 0 ? chunk : Buffer.concat([buffer, chunk]);
  }
}

function parseHead(text: string): ResponseHead {
  const [statusLine = "", ...lines] = text.split("\r\n");
  const match = /^HTTP\/1\.[01] (\d{3})/.exec(statusLine);
  if (match === null) throw malformed("it does not speak HTTP");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(match[1]), headers };
}

export interface BodyOptions {
  readonly method: string;
  /** Called once, when the body has been read or given up; true: the connection can serve another request. */
  readonly done: (reusable: boolean) => void;
}

/** The body's bytes as they come, whatever its framing: a length, chunks, or the connection's end. */
export async function* readBody(
  connection: Connection,
  head: ResponseHead,
  options: BodyOptions,
): AsyncGenerator<Buffer> {
  const keepAlive = head.headers.get("connection")?.toLowerCase() !== "close";
  const length = head.headers.get("content-length");
  let complete = false;
  try {
    if (options.method === "HEAD" || head.status === 204 || head.status === 304) {
      complete = true;
    } else if (head.headers.get("transfer-encoding")?.toLowerCase() === "chunked") {
      yield* readChunks(connection);
      complete = true;
    } else if (length !== undefined) {
      yield* readLength(connection, Number(length));
      complete = true;
    } else {
      yield* readToEnd(connection);
    }
  } finally {
    options.done(complete && keepAlive);
  }
}

async function* readToEnd(connection: Connection): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await connection.read();
    if (chunk === undefined) return;
    yield chunk;
  }
}

async function* readLength(connection: Connection, length: number): AsyncGenerator<Buffer> {
  let left = length;
  while (left > 0) {
    const chunk = await connection.read();
    if (chunk === undefined) throw truncated();
    if (chunk.length > left) connection.unread(chunk.subarray(left));
    const part = chunk.subarray(0, left);
    left -= part.length;
    yield part;
  }
}

async function* readChunks(connection: Connection): AsyncGenerator<Buffer> {
  const decoder = new ChunkDecoder();
  while (!decoder.isDone) {
    const bytes = await connection.read();
    if (bytes === undefined) throw truncated();
    const { data, rest } = decoder.decode(bytes);
    if (data.length > 0) yield data;
    connection.unread(rest);
  }
}

function truncated(): TiffinError {
  return new TiffinError("unavailable", "The engine closed the connection within an answer", {
    hint: "Look into the engine's log",
  });
}
