import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { FixtureEngine } from "./engine-fixture.ts";
import { type Fixture, frame, payload, RawClient, serveFixture } from "./server-fixture.ts";

let fixture: Fixture;
let engine: FixtureEngine;

beforeEach(async () => {
  fixture = await serveFixture();
  engine = fixture.engine;
});

afterEach(() => fixture.remove());

describe("an attached connection", () => {
  const attach = "/v1.44/containers/web/attach?stdin=1&stdout=1&stderr=1&stream=1";

  test("carries frames both ways and outlives the client's half-close", async () => {
    const client = new RawClient(fixture.path);
    client.upgrade(attach);
    await client.until((text) => text.includes("\r\n\r\n"));
    client.socket.write("hello\n");
    await client.until((text) => text.endsWith("hello\n"));
    client.socket.end();
    await client.ended;
    const [head = "", body] = client.received.toString("latin1").split("\r\n\r\n");
    expect(head.split("\r\n")).toEqual([
      "HTTP/1.1 101 UPGRADED",
      "Content-Type: application/vnd.docker.multiplexed-stream",
      "Connection: Upgrade",
      "Upgrade: tcp",
    ]);
    expect(body).toBe(frame(1, "hello\n") + frame(2, "end of input\n"));
    expect(engine.open).toBe(0);
  });

  test("calls framed streams raw for clients before 1.42", async () => {
    const client = new RawClient(fixture.path);
    client.upgrade(attach.replace("1.44", "1.41"));
    expect(await client.until((text) => text.includes("\r\n\r\n"))).toContain(
      "application/vnd.docker.raw-stream",
    );
    client.socket.end();
    await client.ended;
  });

  test("carries a terminal's bytes as they are", async () => {
    const client = new RawClient(fixture.path);
    client.upgrade(attach.replace("web", "term"), "", "early ");
    client.socket.end("late");
    await client.ended;
    const [head, body] = client.received.toString("latin1").split("\r\n\r\n");
    expect(head).toContain("application/vnd.docker.raw-stream");
    expect(body).toBe("early lateend of input\n");
  });

  test("is refused by a plain answer when there is no container", async () => {
    const client = new RawClient(fixture.path);
    client.upgrade("/containers/nope/attach?stdout=1");
    await client.ended;
    const answer = client.received.toString();
    expect(answer).toStartWith("HTTP/1.1 404 Not Found\r\n");
    expect(answer).toContain('{"message":"No such container: nope","code":"not-found"}');
  });

  test("ends the session when the client leaves", async () => {
    const client = new RawClient(fixture.path);
    client.upgrade(attach);
    await client.until((text) => text.includes("\r\n\r\n"));
    expect(engine.open).toBe(1);
    client.socket.destroy();
    while (engine.open > 0) await Bun.sleep(1);
  });

  test("stops a process whose output is not read, and loses nothing", async () => {
    const total = 64 * 1024 * 1024;
    let produced = 0;
    engine.program = async function* () {
      const data = Buffer.alloc(64 * 1024, 120);
      for (; produced < total; produced += data.length) yield { stream: "stdout", data };
    };
    const client = new RawClient(fixture.path);
    client.socket.pause();
    client.upgrade(attach);
    // Long enough for all of it to pass, were nobody to hold it.
    await Bun.sleep(300);
    expect(produced).toBeLessThan(total / 4);
    let size = 0;
    client.socket.removeAllListeners("data");
    client.socket.on("data", (chunk) => (size += chunk.length));
    client.socket.resume();
    await client.ended;
    client.socket.end();
    expect(size).toBeGreaterThan(total);
  });

  test("stops a client whose input is not read, and loses nothing", async () => {
    const total = 32 * 1024 * 1024;
    const gate = Promise.withResolvers<void>();
    let taken = 0;
    engine.program = async function* (stdin) {
      await gate.promise;
      for await (const chunk of stdin) taken += chunk.length;
      yield { stream: "stdout", data: Buffer.from(String(taken)) };
    };
    const client = new RawClient(fixture.path);
    client.upgrade(attach);
    await client.until((text) => text.includes("\r\n\r\n"));
    client.socket.end(Buffer.alloc(total, 120));
    await Bun.sleep(200);
    expect(client.socket.writableLength).toBeGreaterThan(total / 4);
    gate.resolve();
    await client.ended;
    expect(client.received.toString("latin1")).toEndWith(frame(1, String(total)));
  });

  test("works for a client that asks for no upgrade, as far as HTTP goes", async () => {
    const response = await fixture.open("POST", "/containers/web/attach?stdout=1&stream=1");
    expect(response.statusCode).toBe(200);
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString("latin1")).toBe(frame(2, "end of input\n"));
  });
});

describe("an exec", () => {
  const create = async (body: object): Promise<string> => {
    const { json } = await fixture.call("POST", "/containers/web/exec", { json: body });
    return (json as { Id: string }).Id;
  };

  test("starts with a JSON body in the upgrade request, and input right behind it", async () => {
    const id = await create({ Cmd: ["cat"], AttachStdin: true, AttachStdout: true });
    const client = new RawClient(fixture.path);
    client.upgrade(`/v1.50/exec/${id}/start`, '{"Detach":false,"Tty":false}', "early ");
    client.socket.end("late");
    await client.ended;
    const body = client.received.toString("latin1").split("\r\n\r\n")[1];
    expect(payload(body ?? "")).toBe("early lateend of input\n");
  });

  test("starts when its body comes in pieces", async () => {
    const id = await create({ Cmd: ["cat"], Tty: true, AttachStdin: true, AttachStdout: true });
    const client = new RawClient(fixture.path);
    const body = '{"Detach":false,"Tty":true}';
    client.socket.write(
      `POST /exec/${id}/start HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    );
    await Bun.sleep(20);
    client.socket.end(`${body.slice(5)}typed`);
    await client.ended;
    expect(client.received.toString("latin1")).toEndWith("\r\n\r\ntypedend of input\n");
  });

  test("of a missing command tells it on the stream, as docker does", async () => {
    const id = await create({ Cmd: ["missing"], AttachStdout: true });
    const client = new RawClient(fixture.path);
    client.upgrade(`/v1.50/exec/${id}/start`, '{"Detach":false}');
    await client.ended;
    client.socket.end();
    const answer = client.received.toString("latin1");
    expect(answer).toStartWith("HTTP/1.1 101 UPGRADED");
    expect(answer).toEndWith(frame(1, 'exec: "missing": not found in $PATH\r\n'));
  });

  test("can be detached", async () => {
    const id = await create({ Cmd: ["true"] });
    const { status } = await fixture.call("POST", `/exec/${id}/start`, { json: { Detach: true } });
    expect(status).toBe(200);
  });

  test("without a command is refused", async () => {
    const { status, json } = await fixture.call("POST", "/containers/web/exec", { json: {} });
    expect(status).toBe(400);
    expect(json).toMatchObject({ message: "No exec command specified" });
  });
});
