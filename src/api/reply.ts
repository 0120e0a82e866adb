/**
 * What a handler answers, as data: the server (server.ts) or the hijacked connection (hijack.ts) puts it on the wire.
 */
export type Reply = JsonReply | TextReply | EmptyReply | StreamReply | HijackReply;

export interface JsonReply {
  readonly kind: "json";
  readonly status: number;
  readonly body: unknown;
}

export interface TextReply {
  readonly kind: "text";
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface EmptyReply {
  readonly kind: "empty";
  readonly status: number;
}

export interface StreamReply {
  readonly kind: "stream";
  readonly contentType: string;
  /** Send the headers before the first byte: the client waits for them to go on. */
  readonly headersFirst: boolean;
  /** Ends the answer when it resolves. An error before the first byte is answered as any error. */
  readonly write: (sink: Sink) => Promise<void>;
  readonly headers: Readonly<Record<string, string>>;
  /** Called instead of `write` when the client left before. */
  readonly abandon: () => void;
}

/** Where a stream goes. */
export interface Sink {
  /** Resolves when more may be written; does nothing once the client has left (see the request's signal). */
  write(chunk: Uint8Array | string): Promise<void>;
  /** True once headers have been sent: errors can no longer change the status. */
  readonly started: boolean;
}

/** The connection stops being HTTP and carries a process' streams both ways. */
export interface HijackReply {
  readonly kind: "hijack";
  readonly contentType: string;
  /** The client's bytes and ours go in messages of a websocket; without it they are raw. */
  readonly isWebsocket?: boolean;
  readonly run: (connection: HijackedConnection) => Promise<void>;
  /** Called instead of `run` when the client left before the connection was handed over. */
  readonly abandon: () => void;
}

export interface HijackedConnection extends Sink {
  /** Hands each chunk to `take` and waits for it before the next is read. Resolves when the client has closed its side. */
  readInto(take: (chunk: Uint8Array) => Promise<void>): Promise<void>;
  /** Aborted when the connection is gone in both directions. */
  readonly signal: AbortSignal;
}

export function json(body: unknown, status = 200): JsonReply {
  return { kind: "json", status, body };
}

export function empty(status = 204): EmptyReply {
  return { kind: "empty", status };
}

export function text(
  body: string,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): TextReply {
  return { kind: "text", status, text: body, headers };
}

export function stream(
  contentType: string,
  write: (sink: Sink) => Promise<void>,
  options: {
    headersFirst?: boolean;
    headers?: Readonly<Record<string, string>>;
    abandon?: () => void;
  } = {},
): StreamReply {
  return {
    kind: "stream",
    contentType,
    headersFirst: options.headersFirst ?? false,
    headers: options.headers ?? {},
    abandon: options.abandon ?? (() => undefined),
    write,
  };
}
