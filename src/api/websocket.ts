import { createHash } from "node:crypto";
import { invalidArgument } from "../base/error.ts";
import type { HijackedConnection } from "./reply.ts";

/** RFC 6455, "Opening Handshake". */
const HANDSHAKE = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const TEXT = 1;
const BINARY = 2;
const CLOSE = 8;
const PING = 9;
const PONG = 10;
/** A message of a terminal's client is small; more than this is no client of ours. */
const MAXIMUM_BYTES = 1 << 20;

/** What a server answers to a client's key. @throws invalid-argument when there is none */
export function acceptKey(key: string | undefined): string {
  if (key === undefined || key === "") {
    throw invalidArgument("A websocket's request needs a Sec-WebSocket-Key header");
  }
  // The protocol wants this digest; it protects nothing.
  return createHash("sha1").update(`${key}${HANDSHAKE}`).digest("base64");
}

/** A connection whose bytes go in websocket messages: binary ones out, binary or text ones in. */
export function overWebsocket(raw: HijackedConnection): HijackedConnection {
  const closed = new AbortController();
  return {
    started: true,
    // A client that says good-bye waits for ours: it has left, though its connection is there.
    signal: AbortSignal.any([raw.signal, closed.signal]),
    write: (chunk) => raw.write(frame(BINARY, Buffer.from(chunk))),
    readInto: async (take) => {
      const reader = new FrameReader();
      await raw.readInto(async (bytes) => {
        for (const { kind, payload } of reader.read(bytes)) {
          if (closed.signal.aborted) return;
          if (kind === PING) await raw.write(frame(PONG, payload));
          else if (kind === CLOSE) closed.abort();
          else if (kind !== PONG && payload.length > 0) await take(payload);
        }
      });
    },
  };
}

/** What a server says last. */
export function closeFrame(): Buffer {
  return frame(CLOSE, Buffer.from([0x03, 0xe8]));
}

/** A whole message in one frame; a server's are not masked. */
function frame(kind: number, payload: Buffer): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = 0x80 | kind;
  if (length < 126) head[1] = length;
  else if (length < 65_536) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return Buffer.concat([head, payload]);
}

interface Frame {
  readonly kind: number;
  readonly payload: Buffer;
}

/** Takes a client's bytes apart; a message in several frames comes in as many parts, which streams do not mind. */
class FrameReader {
  #pending: Buffer = Buffer.alloc(0);

  /** @throws invalid-argument on what no client may send */
  *read(bytes: Uint8Array): Generator<Frame> {
    this.#pending = Buffer.concat([this.#pending, bytes]);
    for (let next = this.#next(); next !== undefined; next = this.#next()) yield next;
  }

  #next(): Frame | undefined {
    const pending = this.#pending;
    if (pending.length < 2) return undefined;
    const [first = 0, second = 0] = pending;
    const short = second & 0x7f;
    const headBytes = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (pending.length < headBytes + 4) return undefined;
    const length =
      short === 127
        ? Number(pending.readBigUInt64BE(2))
        : short === 126
          ? pending.readUInt16BE(2)
          : short;
    if ((second & 0x80) === 0 || length > MAXIMUM_BYTES) {
      throw invalidArgument("A websocket's client sends masked frames of at most 1 MiB");
    }
    const start = headBytes + 4;
    if (pending.length < start + length) return undefined;
    const mask = pending.subarray(headBytes, start);
    const payload = Buffer.from(pending.subarray(start, start + length));
    for (let index = 0; index < length; index++) {
      payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
    }
    this.#pending = pending.subarray(start + length);
    const kind = first & 0x0f;
    return { kind: kind === TEXT || kind === 0 ? BINARY : kind, payload };
  }
}
