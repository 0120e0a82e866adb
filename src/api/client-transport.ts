/** Where the API is: a unix socket's path, or a TCP address. */
export type Endpoint = { readonly path: string } | { readonly host: string; readonly port: number };

export interface TransportEvents {
  data(chunk: Buffer): void;
  /** The other side sends no more. */
  end(): void;
  /** Nothing goes either way any more. */
  close(error?: Error): void;
  /** What was held back has gone out. */
  drain(): void;
}

/** A connected stream socket whose two directions end apart. */
export interface Transport {
  /** False: hold on until `drain`. */
  write(data: Uint8Array): boolean;
  /** Ends our direction once all is out. */
  end(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
}

/**
 * Connects. Bun's own sockets are taken where they are: loading node:net costs a command a third of its start.
 *
 * @throws the system's error, with its `code` (ENOENT, ECONNREFUSED, EACCES)
 */
export function openTransport(endpoint: Endpoint, events: TransportEvents): Promise<Transport> {
  return typeof Bun === "undefined" ? openNode(endpoint, events) : openBun(endpoint, events);
}

async function openNode(endpoint: Endpoint, events: TransportEvents): Promise<Transport> {
  const { connect } = await import("node:net");
  return new Promise((resolve, reject) => {
    const socket = connect({ ...endpoint, allowHalfOpen: true });
    let failure: Error | undefined;
    socket.once("error", reject);
    socket.on("error", (error: Error) => {
      failure = error;
    });
    socket.on("data", (chunk: Buffer) => events.data(chunk));
    socket.on("end", () => events.end());
    socket.on("close", () => events.close(failure));
    socket.on("drain", () => events.drain());
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve({
        write: (data) => socket.write(data),
        end: () => socket.end(),
        destroy: () => socket.destroy(),
        pause: () => socket.pause(),
        resume: () => socket.resume(),
      });
    });
  });
}

async function openBun(endpoint: Endpoint, events: TransportEvents): Promise<Transport> {
  const writer = new BunWriter(events);
  let failure: Error | undefined;
  const socketHandlers: Bun.SocketHandler<undefined> = {
    data: (_socket, chunk) => events.data(chunk),
    drain: () => writer.flush(),
    end: () => events.end(),
    error: (_socket, error) => {
      failure = error;
    },
    close: (_socket, error) => events.close(failure ?? error),
  };
  const options = { allowHalfOpen: true, socket: socketHandlers, data: undefined };
  const socket = await ("path" in endpoint
    ? Bun.connect({ ...options, unix: endpoint.path })
    : Bun.connect({ ...options, hostname: endpoint.host, port: endpoint.port }));
  writer.socket = socket;
  return {
    write: (data) => writer.write(data),
    end: () => writer.end(),
    destroy: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };
}

/** Bun's sockets take what the kernel takes: what is left waits here. */
class BunWriter {
  readonly #events: TransportEvents;
  #waiting: Uint8Array[] = [];
  #isEnding = false;
  socket: Pick<Bun.Socket, "write" | "shutdown"> | undefined;

  constructor(events: TransportEvents) {
    this.#events = events;
  }

  write(data: Uint8Array): boolean {
    this.#waiting.push(data);
    // An earlier piece that waits goes first, and drain will come for it.
    if (this.#waiting.length === 1) this.#send();
    return this.#waiting.length === 0;
  }

  flush(): void {
    if (this.#waiting.length === 0) return;
    this.#send();
    if (this.#waiting.length === 0) this.#events.drain();
  }

  end(): void {
    this.#isEnding = true;
    if (this.#waiting.length === 0) this.socket?.shutdown();
  }

  #send(): void {
    for (;;) {
      const [first] = this.#waiting;
      if (first === undefined) break;
      const size = this.socket?.write(first) ?? 0;
      if (size < first.length) {
        if (size > 0) this.#waiting[0] = first.subarray(size);
        return;
      }
      this.#waiting.shift();
    }
    if (this.#isEnding) this.socket?.shutdown();
  }
}
