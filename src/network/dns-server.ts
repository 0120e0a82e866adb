import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { framed } from "./dns-upstream.ts";
import type { DnsForwarder } from "./dns-forwarder.ts";
import { type Asker, refusal, replyTo } from "./dns-reply.ts";

/** Of one container: more get "try later", so that none can use up the engine's descriptors and memory. */
const MOST_UNDER_WAY = 128;
const MOST_CONNECTIONS = 16;
const IDLE_MS = 10_000;

/** One container's name server, on sockets that were made in its network namespace; served by the engine's own event loop. */
export class DnsServer {
  private readonly asker: Asker;
  private readonly forwarder: DnsForwarder;
  private readonly datagrams: DatagramSocket;
  private readonly streams: Server;
  private readonly connections = new Set<Socket>();
  private underWay = 0;
  private isClosed = false;

  /** @param sockets bound descriptors, non-blocking, the stream's listening; they are the server's from now on */
  constructor(
    sockets: { datagram: number; stream: number },
    asker: Asker,
    forwarder: DnsForwarder,
  ) {
    this.asker = asker;
    this.forwarder = forwarder;
    this.datagrams = createSocket("udp4");
    this.datagrams.on("error", ignore);
    this.datagrams.on("message", (bytes, { port, address }) => {
      void this.reply(bytes, false).then((reply) => {
        if (reply && !this.isClosed) this.datagrams.send(reply, port, address, ignore);
      });
    });
    this.datagrams.bind({ fd: sockets.datagram, exclusive: true }).unref();
    this.streams = createServer((socket) => this.serve(socket));
    this.streams.on("error", ignore);
    this.streams.listen({ fd: sockets.stream }).unref();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.datagrams.close();
    this.streams.close();
    for (const socket of this.connections) socket.destroy();
  }

  private async reply(bytes: Buffer, isStream: boolean): Promise<Buffer | undefined> {
    if (this.underWay >= MOST_UNDER_WAY) return refusal(bytes);
    this.underWay += 1;
    try {
      const { asker, forwarder } = this;
      return await replyTo(bytes, { isStream, asker, forwarder });
    } catch (error) {
      console.error("tiffin: cannot answer a name query:", error);
      return refusal(bytes);
    } finally {
      this.underWay -= 1;
    }
  }

  private serve(socket: Socket): void {
    if (this.connections.size >= MOST_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.connections.add(socket);
    let received = Buffer.alloc(0);
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.on("error", ignore);
    socket.on("close", () => this.connections.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2) {
        const end = 2 + received.readUInt16BE(0);
        if (received.length < end) return;
        const query = Buffer.from(received.subarray(2, end));
        received = received.subarray(end);
        void this.reply(query, true).then((reply) => {
          if (reply && !socket.destroyed) socket.write(framed(reply));
          else socket.destroy();
        });
      }
    });
  }
}

/** A client that is gone, or a container whose loopback is down: nobody is left to be told. */
function ignore(): void {
  // Nothing depends on it.
}
