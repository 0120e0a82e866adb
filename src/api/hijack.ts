import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex, Readable, Writable } from "node:stream";
import { invalidArgument, TiffinError } from "../base/error.ts";
import type { HijackedConnection } from "./reply.ts";
import { acceptKey, overWebsocket } from "./websocket.ts";

/*
 * The one module for connections that leave HTTP. Bun 1.4.5 and Node 24 agree when connections are handed to the HTTP
 * server by `emit("connection")`, as server.ts does: the body of an upgrade request is not parsed, its bytes are in
 * `head` or come as data of the socket. (An HTTP server that listens by itself differs: Bun puts the body on `request`.)
 */

/** A request that asked for an upgrade, and its connection. */
export interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
}

/** Bound of the body of an upgrade request: docker's is `{"Detach":false,"Tty":true}`. */
const maximumBodyBytes = 1024 * 1024;

/** Takes an upgrade request over: from now on all that the client sends comes from the socket. */
export function upgrade(request: IncomingMessage, socket: Duplex, head: Uint8Array): Upgrade {
  if (head.length > 0) socket.unshift(Buffer.from(head));
  return { request, socket };
}

/** The body and nothing of the stream behind it; what follows goes back to the socket. */
export async function* upgradeBody({ request, socket }: Upgrade): AsyncGenerator<Uint8Array> {
  if (request.headers["transfer-encoding"] !== undefined) {
    throw invalidArgument("An upgrade request needs a body with Content-Length");
  }
  const length = Number(request.headers["content-length"] ?? "0");
  if (!Number.isSafeInteger(length) || length < 0 || length > maximumBodyBytes) {
    throw invalidArgument(`An upgrade request's body is bound to ${maximumBodyBytes} bytes`);
  }
  let missing = length;
  while (missing > 0) {
    const chunk = await readOnce(socket);
    if (chunk.length > missing) socket.unshift(chunk.subarray(missing));
    const part = chunk.subarray(0, missing);
    missing -= part.length;
    yield part;
  }
}

/** One chunk, and the socket paused again. */
function readOnce(socket: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void): void => {
      socket.pause();
      socket.off("data", onData).off("end", onEnd).off("close", onEnd);
      action();
    };
    const onData = (chunk: Buffer): void => settle(() => resolve(chunk));
    const onEnd = (): void =>
      settle(() => reject(new TiffinError("unavailable", "The client left within its request")));
    socket.on("data", onData).on("end", onEnd).on("close", onEnd);
    socket.resume();
  });
}

/** Says 101 and makes the connection docker's stream. */
export function acceptUpgrade(
  { request, socket }: Upgrade,
  contentType: string,
  signal: AbortSignal,
): HijackedConnection {
  // Docker takes any protocol's name (its clients say "tcp") and answers with that.
  const protocol = (request.headers.upgrade ?? "tcp").replaceAll(/[^\w./, -]/g, "");
  socket.write(
    `HTTP/1.1 101 UPGRADED\r\nContent-Type: ${contentType}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
  );
  return connection(socket, socket, signal);
}

/** Says 101 as a websocket's server; messages carry what else goes raw. @throws invalid-argument when it is not asked for */
export function acceptWebsocket(
  { request, socket }: Upgrade,
  signal: AbortSignal,
): HijackedConnection {
  const key = acceptKey(request.headers["sec-websocket-key"]);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${key}\r\n\r\n`,
  );
  return overWebsocket(connection(socket, socket, signal));
}

/**
 * For a client that did not ask for an upgrade: output as the answer's body, input from the request's body. Docker
 * would take the raw connection over; a client that needs that says so with an Upgrade header, as docker's own do.
 */
export function plainConnection(
  request: IncomingMessage,
  response: ServerResponse,
  options: { readonly contentType: string; readonly signal: AbortSignal },
): HijackedConnection {
  response.writeHead(200, { "Content-Type": options.contentType });
  response.flushHeaders();
  return connection(request, response, options.signal);
}

function connection(input: Readable, output: Writable, signal: AbortSignal): HijackedConnection {
  return {
    started: true,
    signal,
    write: (chunk) => writeAndDrain(output, chunk),
    readInto: (take) => readInto(input, take),
  };
}

/** Resolves when more may be written; at once when nobody is there to read it. */
export function writeAndDrain(output: Writable, chunk: Uint8Array | string): Promise<void> {
  if (output.destroyed || output.writableEnded || output.write(chunk)) return Promise.resolve();
  return new Promise((resolve) => {
    const settle = (): void => {
      output.off("drain", settle).off("close", settle);
      resolve();
    };
    output.on("drain", settle).on("close", settle);
  });
}

/**
 * Not `for await`: leaving that loop destroys the stream, and this one still has output to carry.
 */
function readInto(input: Readable, take: (chunk: Uint8Array) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    if (input.destroyed || input.readableEnded) return resolve();
    const onData = (chunk: Buffer): void => {
      input.pause();
      take(chunk).then(
        () => input.resume(),
        (error: unknown) => {
          input.off("data", onData);
          // Read on and drop, so that the client's leaving is still seen.
          input.resume();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    };
    input.on("data", onData);
    input
      .once("end", resolve)
      .once("close", resolve)
      .once("error", () => resolve());
    input.resume();
  });
}
