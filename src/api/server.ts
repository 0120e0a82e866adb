import { createServer as createHttpServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, Server as HttpServer, ServerResponse } from "node:http";
import { chmodSync, existsSync, unlinkSync } from "node:fs";
import { connect, createServer as createNetServer } from "node:net";
import type { Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { invalidArgument, isTiffinError, messageOf, TiffinError } from "../base/error.ts";
import { explainExhaustion } from "../base/exhaustion.ts";
import type { Engine } from "../engine/engine.ts";
import { formatApiVersion, maximumApiVersion, splitVersion } from "./api-version.ts";
import { errorReply } from "./error-reply.ts";
import {
  acceptUpgrade,
  acceptWebsocket,
  plainConnection,
  type Upgrade,
  upgrade,
  upgradeBody,
  writeAndDrain,
} from "./hijack.ts";
import { productVersion } from "./product.ts";
import type { HijackedConnection, HijackReply, Reply, StreamReply } from "./reply.ts";
import { apiRoutes } from "./routes.ts";
import { type Route, type Router, router } from "./router.ts";
import { closeFrame } from "./websocket.ts";

export interface ServeOptions {
  /** Path of a unix socket to make, or the descriptor of one that listens already (socket activation). */
  readonly listen: string | { readonly fd: number };
  /** Beside those of the API. */
  readonly routes?: readonly Route[];
}

export interface ApiServer {
  /** Stops listening, ends streams, lets short requests finish, and closes all connections. */
  close(): Promise<void>;
}

/** How long `close` waits for requests that are at work. */
const closingMilliseconds = 2000;

/**
 * Serves Docker's Engine API over an engine. The socket file is made with mode 0660.
 * @throws already-exists when something answers on the path; any error of listening
 */
export async function serveApi(engine: Engine, options: ServeOptions): Promise<ApiServer> {
  const http = createHttpServer();
  const sockets = new Map<Duplex, AbortController>();
  const serving: Serving = {
    engine,
    find: router([...apiRoutes, ...(options.routes ?? [])]),
    sockets,
    closing: new AbortController(),
    atWork: new Set(),
  };
  configure(http, serving);
  // Bun's HTTP server cannot listen on a descriptor, and parses upgrades differently when it listens by itself.
  const listener = createNetServer({ allowHalfOpen: true }, (socket) => {
    const ended = new AbortController();
    sockets.set(socket, ended);
    socket.once("end", () => ended.abort());
    socket.once("close", () => sockets.delete(socket));
    // A client that resets its connection is no event; what was at work sees "close".
    socket.on("error", () => undefined);
    http.emit("connection", socket);
  });
  await listen(listener, options.listen);
  return { close: () => close(serving, listener) };
}

interface Serving {
  readonly engine: Engine;
  readonly find: Router;
  /** Connections, each with a signal for the client's end of it. */
  readonly sockets: ReadonlyMap<Duplex, AbortController>;
  readonly closing: AbortController;
  readonly atWork: Set<Promise<void>>;
}

function configure(http: HttpServer, serving: Serving): void {
  Object.assign(http, { httpAllowHalfOpen: true });
  // Loads, waits and logs take as long as they take.
  http.requestTimeout = 0;
  http.headersTimeout = 60_000;
  http.timeout = 0;
  http.keepAliveTimeout = 60_000;
  const work = (task: Promise<void>): void => {
    serving.atWork.add(task);
    void task.catch(logUnexpected).finally(() => serving.atWork.delete(task));
  };
  http.on("request", (request, response) => work(answerRequest(serving, request, response)));
  http.on("upgrade", (request, socket, head) =>
    work(answerUpgrade(serving, request, { socket, head })),
  );
  http.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
    else socket.destroy();
  });
}

async function answerRequest(
  serving: Serving,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  // An "aborted" body ends whoever reads it; unread, its error is nobody's.
  request.on("error", () => undefined);
  const signal = AbortSignal.any([gone.signal, serving.closing.signal]);
  // Whoever closes its side of a plain request wants no endless stream, as Go's server sees it too. A client that has
  // left looks the same until something is written to it. Short answers are still sent.
  const ended = serving.sockets.get(request.socket)?.signal ?? signal;
  const reply = await handle(serving, {
    request,
    body: request,
    signal: AbortSignal.any([signal, ended]),
  });
  if (gone.signal.aborted) return abandon(reply);
  for (const [name, value] of Object.entries(commonHeaders())) response.setHeader(name, value);
  if (reply.kind === "stream") return sendStream(reply, request, response);
  if (reply.kind === "hijack" && reply.isWebsocket === true) {
    reply.abandon();
    const refused = encode(notWebsocket());
    response.writeHead(400, refused.headers);
    response.end(refused.body);
    return;
  }
  if (reply.kind === "hijack") {
    const connection = plainConnection(request, response, {
      contentType: reply.contentType,
      signal,
    });
    return carry(reply.run(connection), () => response.end());
  }
  const { headers, body } = encode(reply);
  response.writeHead(reply.status, headers);
  response.end(request.method === "HEAD" ? undefined : body);
}

function abandon(reply: Reply): void {
  if (reply.kind === "hijack" || reply.kind === "stream") reply.abandon();
}

async function carry(running: Promise<void>, end: () => void): Promise<void> {
  try {
    await running;
  } finally {
    end();
  }
}

/** Only attach and exec hijack; to all else an upgrade is answered as if it had not been asked for. */
async function answerUpgrade(
  serving: Serving,
  request: IncomingMessage,
  { socket, head }: { socket: Duplex; head: Uint8Array },
): Promise<void> {
  const gone = new AbortController();
  socket.once("close", () => gone.abort());
  socket.on("error", () => undefined);
  const signal = AbortSignal.any([gone.signal, serving.closing.signal]);
  const asked = upgrade(request, socket, head);
  const body = upgradeBody(asked);
  const reply = await handle(serving, { request, body, signal });
  if (gone.signal.aborted) return abandon(reply);
  if (reply.kind === "hijack") {
    if (reply.isWebsocket === true) return carryWebsocket(reply, asked, signal);
    const connection = acceptUpgrade(asked, reply.contentType, signal);
    return carry(reply.run(connection), () => socket.end());
  }
  return carry(sendRaw(reply, socket, signal), () => socket.end());
}

async function carryWebsocket(
  reply: HijackReply,
  asked: Upgrade,
  signal: AbortSignal,
): Promise<void> {
  const { socket } = asked;
  if (asked.request.headers["sec-websocket-key"] === undefined) {
    reply.abandon();
    return carry(sendRaw(notWebsocket(), socket, signal), () => socket.end());
  }
  return carry(reply.run(acceptWebsocket(asked, signal)), () => socket.end(closeFrame()));
}

function notWebsocket(): PlainReply {
  return errorReply(invalidArgument("This is for clients that speak the websocket protocol"));
}

interface Incoming {
  readonly request: IncomingMessage;
  readonly body: AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
}

/** The reply of a request's handler; every error is a reply as well. */
async function handle(serving: Serving, incoming: Incoming): Promise<Reply> {
  try {
    return await dispatch(serving, incoming);
  } catch (error) {
    if (!incoming.signal.aborted) logUnexpected(error);
    return errorReply(error);
  }
}

async function dispatch(serving: Serving, { request, body, signal }: Incoming): Promise<Reply> {
  const target = request.url ?? "/";
  const mark = target.indexOf("?");
  const { version, path } = splitVersion(decodePath(mark === -1 ? target : target.slice(0, mark)));
  const method = request.method ?? "GET";
  const match = serving.find(method, path);
  if (match === undefined) throw new TiffinError("not-found", "page not found");
  return match.handler({
    engine: serving.engine,
    method,
    path,
    parameters: match.parameters,
    query: new URLSearchParams(mark === -1 ? "" : target.slice(mark + 1)),
    version,
    contentType: request.headers["content-type"] ?? "",
    registryAuth: String(request.headers["x-registry-auth"] ?? ""),
    sharesHost: () => serving.engine.sharesHost(descriptorOf(request.socket)),
    body,
    signal,
  });
}

/** Node and Bun keep it in the same place, which no type tells of. -1: it has none (any more). */
function descriptorOf(socket: object): number {
  const { _handle: inner } = socket as { _handle?: { fd?: unknown } | null };
  return typeof inner?.fd === "number" ? inner.fd : -1;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    throw new TiffinError("invalid-argument", `invalid URL escape in "${path}"`);
  }
}

/** Errors that the engine foresaw are the client's; all others are ours to see as well. */
function logUnexpected(thrown: unknown): void {
  const error = explainExhaustion(thrown);
  if (isTiffinError(error) && error.code !== "internal" && error.code !== "data-loss") return;
  const trace = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
  process.stderr.write(`tiffin: unexpected error while serving the API: ${trace}\n`);
}

function commonHeaders(): Record<string, string> {
  return {
    "Api-Version": formatApiVersion(maximumApiVersion),
    "Docker-Experimental": "false",
    Ostype: "linux",
    Server: `Tiffin/${productVersion} (linux)`,
  };
}

type PlainReply = Exclude<Reply, { kind: "stream" | "hijack" }>;

function encode(reply: PlainReply): { headers: Record<string, string>; body: string } {
  if (reply.kind === "empty") return { headers: {}, body: "" };
  const isJson = reply.kind === "json";
  const body = isJson ? `${JSON.stringify(reply.body)}\n` : reply.text;
  return {
    headers: {
      "Content-Type": isJson ? "application/json" : "text/plain; charset=utf-8",
      ...(isJson ? {} : reply.headers),
      "Content-Length": String(Buffer.byteLength(body)),
    },
    body,
  };
}

async function sendStream(
  reply: StreamReply,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const start = (): void => {
    if (!response.headersSent) {
      response.writeHead(200, { "Content-Type": reply.contentType, ...reply.headers });
    }
  };
  if (reply.headersFirst) {
    start();
    response.flushHeaders();
  }
  try {
    await reply.write({
      get started() {
        return response.headersSent;
      },
      write: (chunk) => {
        start();
        return writeAndDrain(response, chunk);
      },
    });
    start();
    response.end();
  } catch (error) {
    if (request.destroyed && response.destroyed) return;
    if (response.headersSent) {
      // The status is out: a connection that breaks is the only way left to say that this is not all.
      response.destroy();
      throw error;
    }
    logUnexpected(error);
    const failure = errorReply(error);
    const { headers, body } = encode(failure);
    response.writeHead(failure.status, headers);
    response.end(body);
  }
}

/** An answer on a connection whose request asked for an upgrade: HTTP by hand, and the connection ends with it. */
async function sendRaw(
  reply: PlainReply | StreamReply,
  socket: Duplex,
  signal: AbortSignal,
): Promise<void> {
  const headers = { ...commonHeaders(), Connection: "close" };
  if (reply.kind !== "stream") {
    const encoded = encode(reply);
    socket.write(rawHead(reply.status, { ...headers, ...encoded.headers }));
    socket.write(encoded.body);
    return;
  }
  const connection: HijackedConnection = {
    started: true,
    signal,
    readInto: () => Promise.resolve(),
    write: (chunk) => writeAndDrain(socket, chunk),
  };
  socket.write(rawHead(200, { ...headers, "Content-Type": reply.contentType, ...reply.headers }));
  await reply.write(connection);
}

function rawHead(status: number, headers: Readonly<Record<string, string>>): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`;
}

async function listen(server: NetServer, where: ServeOptions["listen"]): Promise<void> {
  if (typeof where === "string") await removeStaleSocket(where);
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  // From its first moment on the file must not be open to others.
  const mask = process.umask(0o117);
  try {
    server.listen(typeof where === "string" ? { path: where } : where, listening.resolve);
  } finally {
    process.umask(mask);
  }
  await listening.promise;
  server.off("error", listening.reject);
  if (typeof where === "string") chmodSync(where, 0o660);
}

/** A socket file outlives an engine that was killed; one that is answered belongs to a living engine. */
async function removeStaleSocket(path: string): Promise<void> {
  if (!existsSync(path)) return;
  const isAnswered = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
  if (isAnswered) {
    throw new TiffinError("already-exists", `Cannot serve the API: "${path}" is in use`, {
      hint: "Stop the engine that uses it, or choose another --run",
    });
  }
  unlinkSync(path);
}

async function close(serving: Serving, listener: NetServer): Promise<void> {
  const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
  serving.closing.abort();
  const patience = Promise.withResolvers<void>();
  const timer = setTimeout(patience.resolve, closingMilliseconds);
  await Promise.race([Promise.allSettled(serving.atWork), patience.promise]);
  clearTimeout(timer);
  for (const socket of serving.sockets.keys()) socket.destroy();
  await closed;
}
