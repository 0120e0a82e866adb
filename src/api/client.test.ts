import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isTiffinError, TiffinError } from "../base/error.ts";
import { ApiClient, apiPath, parseJson } from "./client.ts";

/** A server of raw bytes, so that each framing and each misbehaviour can be written down. */
type Handler = (request: string, socket: Socket, connection: number) => void;

let directory = "";
let server: Server;
let handler: Handler = () => undefined;
let connections = 0;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "tiffin-client-"));
  connections = 0;
  server = createServer({ allowHalfOpen: true }, (socket) => {
    connections += 1;
    const number = connections;
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => handler(chunk.toString("latin1"), socket, number));
  });
  await new Promise<void>((resolve) => server.listen(join(directory, "s"), resolve));
});

afterEach(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

function client(whenUnreachable?: () => Promise<boolean>): ApiClient {
  const endpoint = { path: join(directory, "s") };
  return new ApiClient(
    whenUnreachable === undefined ? { endpoint } : { endpoint, whenUnreachable },
  );
}

function reply(socket: Socket, status: string, body: string, headers: string = ""): void {
  socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n${headers}\r\n${body}`);
}

test("a request is answered, and the connection serves the next one", async () => {
  handler = (request, socket) => reply(socket, "200 OK", JSON.stringify(request.split("\r\n")[0]));
  const api = client();
  expect(await api.json("GET", "/a", { query: { x: "1 2", y: undefined, z: ["p", "q"] } })).toBe(
    "GET /a?x=1%202&z=p&z=q HTTP/1.1",
  );
  expect(await api.json("POST", "/b")).toBe("POST /b HTTP/1.1");
  expect(connections).toBe(1);
  api.close();
});

test("chunked bodies, bodies up to the end and interim answers are read", async () => {
  const api = client();
  handler = (_request, socket) =>
    socket.write(
      "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n[1,2\r\n1\r\n]\r\n0\r\n\r\n",
    );
  expect(await api.json("GET", "/")).toEqual([1, 2]);
  handler = (_request, socket) => socket.end("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nall");
  expect(await (await api.request("GET", "/")).text()).toBe("all");
  handler = (_request, socket) => socket.write("HTTP/1.1 204 No Content\r\n\r\n");
  expect(await api.run("POST", "/")).toBe(204);
  api.close();
});

test("an error carries the engine's message, code and hint", async () => {
  const api = client();
  handler = (_request, socket) =>
    reply(socket, "400 Bad", '{"message":"m","code":"command-not-found","hint":"h"}');
  const error = (await api.json("GET", "/").catch((caught: unknown) => caught)) as TiffinError;
  expect([error.code, error.message, error.hint]).toEqual(["command-not-found", "m", "h"]);
  handler = (_request, socket) => reply(socket, "409 Conflict", '{"message":"taken"}');
  expect(
    isTiffinError(await api.run("GET", "/").catch((caught: unknown) => caught), "conflict"),
  ).toBe(true);
  handler = (_request, socket) => reply(socket, "500 Oops", "<html>");
  await expect(api.run("GET", "/")).rejects.toThrow("<html>");
  api.close();
});

test("a kept connection that the engine closed meanwhile is no error", async () => {
  handler = (_request, socket, number) => {
    if (number === 1 && socket.bytesRead < 100) reply(socket, "200 OK", "1");
    else if (number === 1) socket.destroy();
    else reply(socket, "200 OK", "2");
  };
  const api = client();
  expect(await api.json("GET", "/first")).toBe(1);
  expect(await api.json("GET", `/second${"-".repeat(100)}`)).toBe(2);
  expect(connections).toBe(2);
  api.close();
});

test("a hijacked stream keeps its output after our end is closed", async () => {
  let received = "";
  handler = (request, socket) => {
    if (!request.startsWith("POST")) received += request;
    else
      socket.write(
        "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nContent-Type: raw\r\n\r\nfirst ",
      );
  };
  server.on("connection", (socket: Socket) =>
    socket.on("end", () => socket.end(`got ${received}`)),
  );
  const api = client();
  const stream = await api.hijack("POST", "/attach");
  expect(stream.contentType).toBe("raw");
  await stream.write(Buffer.from("hello"));
  stream.endWrite();
  let output = "";
  for await (const chunk of stream.output) output += chunk.toString();
  expect(output).toBe("first got hello");
});

test("an upload is not read on once the engine has refused it", async () => {
  handler = (_request, socket) => reply(socket, "400 Bad", '{"message":"no"}');
  let pieces = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      pieces += 1;
      yield new Uint8Array(1 << 16);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const api = client();
  await expect(api.request("POST", "/load", { stream: endless() })).rejects.toThrow("no");
  expect(pieces).toBeLessThan(1000);
  api.close();
});

test("a source that breaks ends the request with its error", async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(1);
    throw new Error("disk failed");
  }
  const api = client();
  await expect(api.request("POST", "/load", { stream: broken() })).rejects.toThrow("disk failed");
});

test("an answer that is cut off or no HTTP is an error", async () => {
  const api = client();
  handler = (_request, socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  await expect(api.json("GET", "/")).rejects.toThrow("within an answer");
  handler = (_request, socket) => socket.end("SSH-2.0\r\n\r\n");
  await expect(api.json("GET", "/")).rejects.toThrow("does not speak HTTP");
  handler = (_request, socket) => socket.end();
  await expect(api.json("GET", "/")).rejects.toThrow("without an answer");
});

test("nobody there: asked once to start something, then an error that says where", async () => {
  await new Promise((resolve) => server.close(resolve));
  let asked = 0;
  const api = client(async () => {
    asked += 1;
    return false;
  });
  await expect(api.json("GET", "/")).rejects.toThrow(`unix://${join(directory, "s")}`);
  expect(asked).toBe(1);
});

test("large bodies come whole through a slow reader", async () => {
  const body = Buffer.alloc(5_000_000, "x");
  handler = (_request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
    socket.write(body);
  };
  const api = client();
  let size = 0;
  for await (const chunk of (await api.request("GET", "/")).body) {
    size += chunk.length;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(size).toBe(body.length);
  api.close();
});

test("numbers too large for a double keep their digits", () => {
  expect(parseJson('{"t":1795507521123456789,"n":12,"f":0.50000000000000000}')).toEqual({
    t: 1795507521123456789n,
    n: 12,
    f: 0.5,
  });
  expect(parseJson("")).toBeUndefined();
});

test("parts of a path may hold anything", () => {
  expect(apiPath("containers", "a/b?c", "json")).toBe("/containers/a%2Fb%3Fc/json");
});
