import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server, type Socket } from "node:net";
import { closeFd, openProcess } from "../../kernel/process.ts";
import { httpTarget, tcpTarget } from "./check-target.ts";
import { type CheckOutcome, SocketChecks } from "./socket-checks.ts";

const isRoot = process.getuid?.() === 0;
if (!isRoot) console.log("skipped: checks by socket: setns needs root");

const tooLong = { exitCode: -1, output: "too long" };
const timedOut = () => tooLong;
const checks = new SocketChecks();
let own = -1;
const servers: Server[] = [];

/** Answers each connection so; the port. */
async function serve(answer: (socket: Socket) => void, host = "127.0.0.1"): Promise<number> {
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    answer(socket);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

const replying = (text: string) => (socket: Socket) =>
  void socket.once("data", () => socket.write(text));

function http(port: number, timeoutMs = 5000): Promise<CheckOutcome> {
  return checks.check(() => own, httpTarget(`:${port}/ready`), { timeoutMs, timedOut });
}

describe.skipIf(!isRoot)("a check by socket", () => {
  beforeAll(() => {
    own = openProcess(process.pid) ?? -1;
  });

  afterAll(() => {
    checks.close();
    closeFd(own);
    for (const server of servers) server.close();
  });

  test("by TCP is healthy when somebody listens, on either loopback address", async () => {
    const limit = { timeoutMs: 5000, timedOut };
    const port = await serve(() => undefined);
    expect(await checks.check(() => own, tcpTarget(String(port)), limit)).toEqual({
      exitCode: 0,
      output: `Connected to 127.0.0.1:${port}`,
    });
    const six = await serve(() => undefined, "::1");
    expect(await checks.check(() => own, tcpTarget(`[::1]:${six}`), limit)).toMatchObject({
      exitCode: 0,
    });
    expect(await checks.check(() => own, tcpTarget(String(six)), limit)).toMatchObject({
      exitCode: 0,
    });
    expect(await checks.check(() => own, tcpTarget("127.0.0.1:1"), limit)).toEqual({
      exitCode: 1,
      output: "Cannot connect to 127.0.0.1:1: ECONNREFUSED",
    });
  });

  test("by HTTP asks for the path, and takes 200 to 399 for health", async () => {
    let asked = "";
    const port = await serve((socket) => {
      socket.once("data", (data) => {
        asked = data.toString();
        socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      });
    });
    expect(await http(port)).toEqual({ exitCode: 0, output: "HTTP 200 OK: ok" });
    expect(asked).toStartWith(`GET /ready HTTP/1.1\r\nHost: localhost:${port}\r\n`);
    const redirects = await serve(replying("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"));
    expect(await http(redirects)).toMatchObject({ exitCode: 0 });
    const fails = await serve(replying("HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy"));
    expect(await http(fails)).toEqual({ exitCode: 1, output: "HTTP 503 No: busy" });
  });

  test("gives up after its time, also with one who sends for ever", async () => {
    expect(await http(await serve(() => undefined), 50)).toEqual(tooLong);
    const drips = await serve((socket) => {
      const timer = setInterval(() => socket.write("HTTP/1.1 200 OK\r\nX: y\r\n"), 5);
      socket.on("close", () => clearInterval(timer));
    });
    expect(await http(drips, 50)).toEqual(tooLong);
  });

  test("tells from one who hangs up, and from what is no HTTP", async () => {
    expect(await http(await serve((socket) => socket.destroy()))).toMatchObject({ exitCode: 1 });
    expect(await http(await serve(replying("SSH-2.0-x\r\n")))).toMatchObject({
      exitCode: 1,
      output: expect.stringContaining("no HTTP reply"),
    });
  });

  test("of a process that is gone fails, and many at once all end", async () => {
    expect(
      await checks.check(() => -1, tcpTarget("80"), { timeoutMs: 100, timedOut }),
    ).toMatchObject({ exitCode: 1 });
    const port = await serve(replying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    const all = await Promise.all(Array.from({ length: 50 }, () => http(port)));
    expect(all.every(({ exitCode }) => exitCode === 0)).toBe(true);
  });
});
