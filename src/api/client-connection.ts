import { TiffinError } from "../base/error.ts";
import { type Endpoint, openTransport, type Transport } from "./client-transport.ts";

/** Bytes that may wait in memory before the other side is made to wait. */
const HIGH_WATER_BYTES = 1 << 20;

/**
 * One connection, read by pulling. Whoever reads slowly slows the sender: nothing is buffered without a bound.
 * Half-closing is kept apart from closing, since a container's stdin may end long before its output does.
 */
export class Connection {
  #transport: Transport | undefined;
  #chunks: Buffer[] = [];
  #queued = 0;
  #isPaused = false;
  #ended = false;
  #closed = false;
  #endedWriting = false;
  #failure: Error | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];
  /** Bytes seen on this connection; a request on a kept connection that dies before any may be sent again. */
  received = 0;

  private constructor() {}

  /** @throws the system's error, with its `code` (ENOENT, ECONNREFUSED, EACCES) */
  static async open(endpoint: Endpoint): Promise<Connection> {
    const connection = new Connection();
    connection.#transport = await openTransport(endpoint, {
      data: (chunk) => connection.#receive(chunk),
      end: () => connection.#finish(),
      close: (error) => connection.#close(error),
      drain: () => connection.#wakeAllWriters(),
    });
    return connection;
  }

  /** The next bytes; undefined at the end. @throws unavailable when the connection broke */
  async read(): Promise<Buffer | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#ended) {
        if (this.#failure !== undefined) throw lost(this.#failure);
        return undefined;
      }
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
    const chunk = this.#chunks.shift() as Buffer;
    this.#queued -= chunk.length;
    if (this.#isPaused && this.#queued <= HIGH_WATER_BYTES) {
      this.#isPaused = false;
      this.#transport?.resume();
    }
    return chunk;
  }

  /** Gives bytes back that belong to the next reader. */
  unread(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.#queued += chunk.length;
  }

  /** Resolves when more may be written. Bytes for a connection that has gone are dropped: the reader learns of it. */
  async write(data: Uint8Array | string): Promise<void> {
    if (this.#closed || this.#endedWriting || data.length === 0) return;
    const bytes = typeof data === "string" ? Buffer.from(data) : data;
    if (this.#transport?.write(bytes) === true) return;
    await new Promise<void>((resolve) => {
      this.#wakeWriters.push(resolve);
    });
  }

  endWrite(): void {
    if (this.#closed || this.#endedWriting) return;
    this.#endedWriting = true;
    this.#transport?.end();
  }

  /** True while another request can be sent on it. */
  get isUsable(): boolean {
    return !this.#ended && !this.#closed && this.#chunks.length === 0;
  }

  close(): void {
    if (!this.#closed) this.#transport?.destroy();
    this.#close();
  }

  #receive(chunk: Buffer): void {
    this.received += chunk.length;
    this.#chunks.push(chunk);
    this.#queued += chunk.length;
    if (!this.#isPaused && this.#queued > HIGH_WATER_BYTES) {
      this.#isPaused = true;
      this.#transport?.pause();
    }
    this.#wake();
  }

  #close(error?: Error): void {
    this.#closed = true;
    this.#failure ??= error;
    this.#finish();
    this.#wakeAllWriters();
  }

  #finish(): void {
    this.#ended = true;
    this.#wake();
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #wakeAllWriters(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) wake();
  }
}

function lost(cause: Error): TiffinError {
  return new TiffinError("unavailable", `The connection to the engine broke: ${cause.message}`, {
    cause,
  });
}
