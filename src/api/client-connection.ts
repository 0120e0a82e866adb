import { connect, type Socket } from "node:net";
import { TiffinError } from "../base/error.ts";

/** Where the API is: a unix socket's path, or a TCP address. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

/** Bytes that may wait in memory before the other side is made to wait. */
const HIGH_WATER_BYTES = 1 << 20;

/**
 * One connection, read by pulling. Whoever reads slowly slows the sender: nothing is buffered without a bound.
 * Half-closing is kept apart from closing, since a container's stdin may end long before its output does.
 */
export class Connection {
  readonly #socket: Socket;
  #chunks: Buffer[] = [];
  #queued = 0;
  #ended = false;
  #failure: Error | undefined;
  #wakeReader: (() => void) | undefined;
  /** Bytes seen on this connection; a request on a kept connection that dies before any may be sent again. */
  received = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.length;
      this.#chunks.push(chunk);
      this.#queued += chunk.length;
      if (this.#queued > HIGH_WATER_BYTES) socket.pause();
      this.#wake();
    });
    socket.on("end", () => this.#finish());
    socket.on("close", () => this.#finish());
    socket.on("error", (error: Error) => {
      this.#failure = error;
      this.#finish();
    });
  }

  /** @throws the system's error, with its `code` (ENOENT, ECONNREFUSED, EACCES) */
  static open(endpoint: Endpoint): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ ...endpoint, allowHalfOpen: true });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new Connection(socket));
      });
    });
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
    if (this.#queued <= HIGH_WATER_BYTES && this.#socket.isPaused()) this.#socket.resume();
    return chunk;
  }

  /** Gives bytes back that belong to the next reader. */
  unread(chunk: Buffer): void {
    if (chunk.length === 0) return;
    this.#chunks.unshift(chunk);
    this.#queued += chunk.length;
  }

  /** Resolves when more may be written. Bytes for a connection that has gone are dropped: the reader learns of it. */
  write(data: Uint8Array | string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed || this.#socket.writableEnded) return resolve();
      if (this.#socket.write(data)) return resolve();
      const done = (): void => {
        this.#socket.off("drain", done);
        this.#socket.off("close", done);
        resolve();
      };
      this.#socket.on("drain", done);
      this.#socket.on("close", done);
    });
  }

  endWrite(): void {
    if (!this.#socket.destroyed) this.#socket.end();
  }

  /** True while another request can be sent on it. */
  get isUsable(): boolean {
    return !this.#ended && !this.#socket.destroyed && this.#chunks.length === 0;
  }

  close(): void {
    this.#socket.destroy();
    this.#finish();
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
}

function lost(cause: Error): TiffinError {
  return new TiffinError("unavailable", `The connection to the engine broke: ${cause.message}`, {
    cause,
  });
}
