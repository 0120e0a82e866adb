import { afterEach, beforeEach, expect, test } from "bun:test";
import { call, type Fixture, serveFixture } from "./server-fixture.ts";
import { acceptKey } from "./websocket.ts";

let fixture: Fixture;

beforeEach(async () => {
  fixture = await serveFixture();
});
afterEach(() => fixture.remove());

const path = "/v1.44/containers/web/attach/ws?stdin=1&stdout=1&stderr=1&stream=1";

/** Bun's own client: what it takes for a websocket is one. */
async function connect(target: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws+unix://${fixture.path}:${target}`);
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.addEventListener("open", resolve);
    socket.addEventListener("error", reject);
  });
  return socket;
}

test("the key is answered as RFC 6455 says", () => {
  expect(acceptKey("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  expect(() => acceptKey("")).toThrow(/Sec-WebSocket-Key/);
});

test("a container's streams go over a websocket both ways, in messages of any size", async () => {
  const socket = await connect(path);
  let received = "";
  const sizes = [1, 125, 126, 70_000];
  const sent = sizes.map((size) => "x".repeat(size)).join("|");
  const all = new Promise<void>((resolve) => {
    socket.addEventListener("message", ({ data }) => {
      received += Buffer.from(data as ArrayBuffer).toString();
      if (received.length >= sent.length) resolve();
    });
  });
  for (const [index, size] of sizes.entries()) {
    socket.send(`${index === 0 ? "" : "|"}${"x".repeat(size)}`);
  }
  await all;
  expect(received).toBe(sent);
  const closed = new Promise<number>((resolve) => {
    socket.addEventListener("close", ({ code }) => resolve(code));
  });
  socket.close(1000);
  expect(await closed).toBe(1000);
  while (fixture.engine.open > 0) await Bun.sleep(1);
});

test("whoever speaks no websocket, or asks for no container, gets a plain answer", async () => {
  expect((await call(fixture.path, "GET", path)).status).toBe(400);
  expect((await call(fixture.path, "GET", path.replace("web", "nope"))).status).toBe(404);
  expect(fixture.engine.open).toBe(0);
});
