import { mkdtempSync, rmSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FixtureEngine, fixtureContainer } from "./engine-fixture.ts";
import { type ApiServer, serveApi } from "./server.ts";

/*
 * For tests of HTTP mechanics alone: routing, errors, hijacked connections, frames, half-close, leaving clients. The
 * engine behind is an object in memory (engine-fixture.ts); what containers do is tested with the real one in
 * test/integration.
 */

export interface Fixture {
  readonly directory: string;
  readonly path: string;
  readonly engine: FixtureEngine;
  readonly server: ApiServer;
  /** One request on a connection of its own. */
  call(method: string, target: string, body?: Body): Promise<Answer>;
  /** The same, up to the answer's head. */
  open(method: string, target: string, body?: Body): Promise<IncomingMessage>;
  /** Closes the server and removes the directory. */
  remove(): Promise<void>;
}

/** A server over an engine with a running container, one with a terminal, and one that has ended. */
export async function serveFixture(): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), "tiffin-api-"));
  const path = join(directory, "api.sock");
  const engine = new FixtureEngine([
    fixtureContainer("web", { openStdin: true }, { status: "running", pid: 7 }),
    fixtureContainer("term", { openStdin: true, tty: true }, { status: "running", pid: 8 }),
    fixtureContainer("old", {}, { status: "exited", exitCode: 3 }),
  ]);
  const server = await serveApi(engine, { listen: path });
  return {
    directory,
    path,
    engine,
    server,
    call: (method, target, body) => call(path, method, target, body),
    open: (method, target, body) => open(path, method, target, body),
    remove: async () => {
      await server.close();
      rmSync(directory, { recursive: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly text: string;
  readonly json: unknown;
}

interface Body {
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
  readonly type?: string;
}

/** One request on a connection of its own. */
export async function call(
  path: string,
  method: string,
  target: string,
  body?: Body,
): Promise<Answer> {
  const response = await open(path, method, target, body);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text,
    get json() {
      return JSON.parse(text) as unknown;
    },
  };
}

export function open(
  path: string,
  method: string,
  target: string,
  body: Body = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const type = body.type ?? (body.json === undefined ? undefined : "application/json");
    const request = httpRequest(
      {
        socketPath: path,
        method,
        path: target,
        agent: false,
        headers: type === undefined ? {} : { "Content-Type": type },
      },
      resolve,
    );
    request.on("error", reject);
    request.end(body.json === undefined ? body.bytes : JSON.stringify(body.json));
  });
}

/** A raw connection: what comes in is kept. */
export class RawClient {
  readonly socket: Socket;
  received: Buffer = Buffer.alloc(0);
  readonly ended: Promise<void>;
  private wake: () => void = () => undefined;

  constructor(path: string) {
    this.socket = connect({ path, allowHalfOpen: true });
    this.socket.on("data", (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.wake();
    });
    this.socket.on("error", () => undefined);
    this.ended = new Promise((resolve) => {
      this.socket.once("end", resolve).once("close", () => resolve());
    });
  }

  /** Sends a request that asks for an upgrade. */
  upgrade(target: string, body = "", early = ""): void {
    const length =
      body === "" ? "" : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
    this.socket.write(
      `POST ${target} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n${length}\r\n${body}${early}`,
    );
  }

  async until(isDone: (text: string) => boolean): Promise<string> {
    while (!isDone(this.received.toString("latin1"))) {
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    return this.received.toString("latin1");
  }
}

/** One of docker's frames, as text. */
export function frame(stream: number, text: string): string {
  const header = String.fromCharCode(stream, 0, 0, 0, 0, 0, 0, text.length);
  return header + text;
}

/** The payloads of frames, joined. */
export function payload(frames: string): string {
  let text = "";
  for (let at = 0; at + 8 <= frames.length; ) {
    const end = at + 8 + frames.charCodeAt(at + 7) + 256 * frames.charCodeAt(at + 6);
    text += frames.slice(at + 8, end);
    at = end;
  }
  return text;
}
