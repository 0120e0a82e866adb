import { type ErrorCode, TiffinError } from "../base/error.ts";
import { Connection } from "./client-connection.ts";
import type { Endpoint } from "./client-transport.ts";
import { readBody, readHead, type ResponseHead } from "./client-response.ts";

export type QueryValue = string | number | boolean | undefined;

export interface RequestOptions {
  readonly query?: Readonly<Record<string, QueryValue | readonly string[]>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it comes, in chunks; it is not read on once the engine has answered. */
  readonly stream?: AsyncIterable<Uint8Array>;
  readonly contentType?: string;
}

/** A response whose body has not been read yet. Read it to its end, or `close` it, to free the connection. */
export interface ApiResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: AsyncIterable<Buffer>;
  text(): Promise<string>;
  json(): Promise<unknown>;
  close(): void;
}

/** A connection that has left HTTP: raw bytes both ways. */
export interface HijackedStream {
  /** `application/vnd.docker.multiplexed-stream`: framed output; `…raw-stream`: a terminal's bytes. */
  readonly contentType: string;
  readonly output: AsyncIterable<Buffer>;
  write(data: Uint8Array): Promise<void>;
  endWrite(): void;
  close(): void;
}

export interface ApiClientOptions {
  readonly endpoint: Endpoint;
  /** Called once when nothing answers; true: try again. */
  readonly whenUnreachable?: () => Promise<boolean>;
}

const CODES: Readonly<Record<number, ErrorCode>> = {
  304: "not-modified",
  400: "invalid-argument",
  401: "unauthenticated",
  403: "permission-denied",
  404: "not-found",
  409: "conflict",
  501: "not-implemented",
  503: "unavailable",
};
const ERROR_BODY_BYTES = 64 << 10;

/**
 * A client of the Engine API that is light to load: no HTTP library, one connection kept open for the next request.
 * Paths go without a version, which is the newest that the engine speaks.
 */
export class ApiClient {
  readonly #options: ApiClientOptions;
  #idle: Connection[] = [];
  readonly #open = new Set<Connection>();

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  /**
   * One request. Resolves when the head of the response is there.
   *
   * @throws the engine's error as a TiffinError (status 400 and up); `details.status` is the status,
   *   `details.fromEngine` true, `details.coded` whether the engine named the code itself
   * @throws unavailable when nothing answers
   */
  async request(method: string, path: string, options: RequestOptions = {}): Promise<ApiResponse> {
    const { connection, head } = await this.#exchange(method, path, options);
    const response = this.#response(connection, head, method);
    if (head.status >= 400) throw await engineError(response);
    return response;
  }

  /** A request whose JSON answer is wanted; undefined for an empty one. @throws as {@link request} */
  async json(method: string, path: string, options: RequestOptions = {}): Promise<unknown> {
    return (await this.request(method, path, options)).json();
  }

  /** A request whose answer is only that it worked; its status. @throws as {@link request} */
  async run(method: string, path: string, options: RequestOptions = {}): Promise<number> {
    const response = await this.request(method, path, options);
    await response.text();
    return response.status;
  }

  /** A request that turns its connection into a raw stream (attach, exec). @throws as {@link request} */
  async hijack(
    method: string,
    path: string,
    options: RequestOptions = {},
  ): Promise<HijackedStream> {
    const headers = { ...options.headers, Connection: "Upgrade", Upgrade: "tcp" };
    const { connection, head } = await this.#exchange(method, path, { ...options, headers });
    if (head.status >= 400) throw await engineError(this.#response(connection, head, method));
    return {
      contentType: head.headers.get("content-type") ?? "",
      output: untilEnd(connection),
      write: (data) => connection.write(data),
      endWrite: () => connection.endWrite(),
      close: () => this.#drop(connection),
    };
  }

  /** Opens a connection before it is needed, so that a later request does not wait for it. */
  async connectAhead(): Promise<void> {
    this.#idle.push(await this.#connect());
  }

  /** Closes all connections: what is under way on them fails. */
  close(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
    this.#idle = [];
  }

  async #exchange(
    method: string,
    path: string,
    options: RequestOptions,
  ): Promise<{ connection: Connection; head: ResponseHead }> {
    for (;;) {
      const kept = this.#takeIdle();
      const connection = kept ?? (await this.#connect());
      const before = connection.received;
      try {
        // The answer may come before the request is through, and a request that cannot be sent must not wait for one.
        const unsent = send(connection, method, path, options).then(() => new Promise<never>(noop));
        const head = await Promise.race([readHead(connection), unsent]);
        return { connection, head };
      } catch (error) {
        this.#drop(connection);
        // The engine may close a kept connection at any time; nothing was done then, unless a body was on its way.
        const untouched = connection.received === before && options.stream === undefined;
        if (kept === undefined || !untouched) throw error;
      }
    }
  }

  #takeIdle(): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined || connection.isUsable) return connection;
      this.#drop(connection);
    }
  }

  #drop(connection: Connection): void {
    this.#open.delete(connection);
    connection.close();
  }

  async #connect(): Promise<Connection> {
    const connection = await this.#reach();
    this.#open.add(connection);
    return connection;
  }

  async #reach(): Promise<Connection> {
    const { endpoint, whenUnreachable } = this.#options;
    try {
      return await Connection.open(endpoint);
    } catch (error) {
      const canRetry = isNobodyThere(error) && whenUnreachable !== undefined;
      if (canRetry && (await whenUnreachable())) {
        try {
          return await Connection.open(endpoint);
        } catch (again) {
          throw unreachable(endpoint, again);
        }
      }
      throw unreachable(endpoint, error);
    }
  }

  #response(connection: Connection, head: ResponseHead, method: string): ApiResponse {
    let over = false;
    const done = (reusable: boolean): void => {
      if (over) return;
      over = true;
      if (reusable) this.#idle.push(connection);
      else this.#drop(connection);
    };
    const body = readBody(connection, head, { method, done });
    const text = async (): Promise<string> => {
      const parts: Buffer[] = [];
      for await (const part of body) parts.push(part);
      return Buffer.concat(parts).toString("utf8");
    };
    return {
      status: head.status,
      headers: head.headers,
      body,
      text,
      json: async () => parseJson(await text()),
      close: () => done(false),
    };
  }
}

function noop(): void {}

/** Parses JSON; integers that a double cannot hold (times in nanoseconds) become bigints. */
export function parseJson(text: string): unknown {
  if (text === "") return undefined;
  // Only a number of 16 digits or more can be too large; a reviver on every value would cost much more than this look.
  if (!/\d{16}/.test(text)) return JSON.parse(text);
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    if (typeof value !== "number" || Number.isSafeInteger(value) || source === undefined) {
      return value;
    }
    return /^-?\d+$/.test(source) ? BigInt(source) : value;
  });
}

/** Path segments from parts that may hold any character: `apiPath("containers", name, "json")`. */
export function apiPath(...parts: readonly string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

async function send(
  connection: Connection,
  method: string,
  requestPath: string,
  options: RequestOptions,
): Promise<void> {
  const payload = options.body === undefined ? undefined : JSON.stringify(options.body);
  const lines = [
    `${method} ${requestPath}${queryOf(options.query)} HTTP/1.1`,
    "Host: tiffin",
    "User-Agent: tiffin",
  ];
  for (const [name, value] of Object.entries(options.headers ?? {}))
    lines.push(`${name}: ${value}`);
  if (payload !== undefined) {
    lines.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(payload)}`);
  } else if (options.stream !== undefined) {
    lines.push(`Content-Type: ${options.contentType ?? "application/x-tar"}`);
    lines.push("Transfer-Encoding: chunked");
  } else if (method !== "GET" && method !== "HEAD") {
    lines.push("Content-Length: 0");
  }
  await connection.write(`${lines.join("\r\n")}\r\n\r\n${payload ?? ""}`);
  if (options.stream !== undefined) await sendChunks(connection, options.stream);
}

async function sendChunks(
  connection: Connection,
  stream: AsyncIterable<Uint8Array>,
): Promise<void> {
  const before = connection.received;
  for await (const chunk of stream) {
    if (chunk.length === 0) continue;
    // An answer before the end is a refusal: what is still to come has no reader.
    if (connection.received !== before || !connection.isUsable) return;
    await connection.write(`${chunk.length.toString(16)}\r\n`);
    await connection.write(chunk);
    await connection.write("\r\n");
  }
  await connection.write("0\r\n\r\n");
}

function queryOf(query: RequestOptions["query"]): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one === undefined) continue;
      pairs.push(`${encodeURIComponent(name)}=${encodeURIComponent(String(one))}`);
    }
  }
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

async function* untilEnd(connection: Connection): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await connection.read();
    if (chunk === undefined) return;
    yield chunk;
  }
}

async function engineError(response: ApiResponse): Promise<TiffinError> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response.body) {
    parts.push(part);
    size += part.length;
    if (size > ERROR_BODY_BYTES) break;
  }
  const text = Buffer.concat(parts).toString("utf8").trim();
  let body: { message?: unknown; code?: unknown; hint?: unknown } = {};
  try {
    body = JSON.parse(text) as typeof body;
  } catch {
    // Not every server on the way answers in JSON; its words are the message then.
    body = { message: text };
  }
  const message =
    typeof body.message === "string" && body.message !== ""
      ? body.message
      : `The engine answered with status ${response.status} and no message`;
  const code =
    typeof body.code === "string"
      ? (body.code as ErrorCode)
      : (CODES[response.status] ?? "internal");
  return new TiffinError(code, message, {
    ...(typeof body.hint === "string" ? { hint: body.hint } : {}),
    details: {
      status: response.status,
      fromEngine: true,
      coded: typeof body.code === "string",
    },
  });
}

function systemCode(error: unknown): string {
  return (error as { code?: string } | null)?.code ?? "";
}

function isNobodyThere(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED"].includes(systemCode(error));
}

function unreachable(endpoint: Endpoint, cause: unknown): TiffinError {
  const where =
    "path" in endpoint ? `unix://${endpoint.path}` : `tcp://${endpoint.host}:${endpoint.port}`;
  if (["EACCES", "EPERM"].includes(systemCode(cause))) {
    return new TiffinError(
      "permission-denied",
      `Cannot connect to the engine at ${where}: permission denied`,
      {
        hint: "Run the command as root",
        cause,
      },
    );
  }
  return new TiffinError(
    "unavailable",
    `Cannot connect to the Tiffin engine at ${where}. Is the engine running?`,
    { hint: 'Start it with "tiffin engine", or check --host and TIFFIN_HOST', cause },
  );
}
