import { connect, type Socket } from "node:net";
import { messageOf, TiffinError } from "../base/error.ts";
import { type Frame, FrameReader } from "./frames.ts";

/** What a supervisor kept of its process' end (native/supervise.c, write_exit_record). */
export interface ExitRecord {
  /** 0 to 255; 128 + n when signal n ended it. */
  readonly exitCode: number;
  /** Nanoseconds since the epoch. */
  readonly endedNano: bigint;
  /** Bytes of log that a full disk cost. */
  readonly lostLogBytes: number;
  /** memory.oom_control (v1) or memory.events (v2) at the end, or "". */
  readonly memoryEvents: string;
}

/** @throws data-loss when the record is torn */
export function parseExitRecord(text: string): ExitRecord {
  const [status = "", time = "", lost = ""] = text.split("\n", 3);
  if (!/^\d{20}$/.test(lost))
    throw new TiffinError("data-loss", "Cannot read the exit record: it is torn");
  const signal = Number(status) & 0x7f;
  return {
    exitCode: signal === 0 ? (Number(status) >> 8) & 0xff : 128 + signal,
    endedNano: BigInt(time),
    lostLogBytes: Number(lost),
    memoryEvents: text.slice(63),
  };
}

export interface ConnectionHandlers {
  /** A promise pauses the stream until it is settled: a slow taker slows the container. */
  onOutput?: (stream: "stdout" | "stderr", data: Uint8Array) => void | Promise<void>;
  onExit?: (record: ExitRecord) => void;
}

/** One connection to a supervisor, as its parent (the inherited socket) or by its socket's path. */
export class SupervisorConnection {
  private readonly socket: Socket;
  private readonly reader: FrameReader;
  private readonly closeHandlers: (() => void)[] = [];
  private closed = false;
  private reported = Promise.withResolvers<Uint8Array>();
  private staged: (value: number) => void = () => undefined;
  private handlers: ConnectionHandlers = {};
  /** Frames that came before anyone asked for them. */
  private early: Frame[] | undefined = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new FrameReader((frame) => this.receive(frame));
    socket.on("data", (data: Uint8Array) => this.reader.push(data));
    // The close event follows and says the same.
    socket.on("error", () => undefined);
    socket.on("close", () => this.end());
    this.reported.promise.catch(() => undefined);
  }

  static adopt(fd: number): SupervisorConnection {
    // Bun adopts sockets by connect({ fd }) only.
    return new SupervisorConnection(connect({ fd } as unknown as { path: string }));
  }

  /** @throws not-found when no supervisor listens there; unavailable when one may, but cannot be reached now */
  static async open(path: string): Promise<SupervisorConnection> {
    const socket = connect({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once("connect", resolve);
      socket.once("error", (cause) => {
        const code = "code" in cause ? String(cause.code) : "";
        const isGone = code === "ENOENT" || code === "ECONNREFUSED";
        reject(
          new TiffinError(
            isGone ? "not-found" : "unavailable",
            `Cannot reach the supervisor: ${messageOf(cause)}`,
            { cause },
          ),
        );
      });
    });
    return new SupervisorConnection(socket);
  }

  /** The launch report's bytes. @throws internal when the launcher ended without one */
  report(): Promise<Uint8Array> {
    return this.reported.promise;
  }

  /** Told of the stages that a plan tells of (tell-stage.ts). Set it before the next await. */
  onStage(handler: (value: number) => void): void {
    this.staged = handler;
  }

  setHandlers(handlers: ConnectionHandlers): void {
    this.handlers = handlers;
    const early = this.early ?? [];
    this.early = undefined;
    for (const frame of early) this.deliver(frame);
  }

  /** Resolves when more may be sent. */
  async send(frame: Uint8Array): Promise<void> {
    if (this.closed) return;
    if (this.socket.write(frame)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.socket.off("drain", done);
        this.socket.off("close", done);
        resolve();
      };
      this.socket.on("drain", done);
      this.socket.on("close", done);
    });
  }

  onClose(handler: () => void): void {
    if (this.closed) handler();
    else this.closeHandlers.push(handler);
  }

  /** After the frames that are under way. */
  close(): void {
    this.socket.end();
    this.socket.destroySoon();
  }

  private receive(frame: Frame): void {
    if (frame.type === "report") this.reported.resolve(frame.payload);
    else if (frame.type === "stage") this.staged(Buffer.from(frame.payload).readInt32LE(0));
    else if (this.early) this.early.push({ ...frame, payload: Uint8Array.from(frame.payload) });
    else this.deliver(frame);
  }

  private deliver({ type, payload }: Frame): void {
    if (type === "exit") {
      this.handlers.onExit?.(parseExitRecord(Buffer.from(payload).toString()));
      return;
    }
    if (type === "report" || type === "stage") return;
    const taken = this.handlers.onOutput?.(type, payload);
    if (taken instanceof Promise) {
      this.socket.pause();
      void taken.finally(() => this.socket.resume());
    }
  }

  private end(): void {
    this.closed = true;
    this.reported.reject(
      new TiffinError("internal", "Cannot launch: the launcher ended without a report"),
    );
    for (const handler of this.closeHandlers) handler();
  }
}
