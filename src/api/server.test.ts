import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { TiffinError } from "../base/error.ts";
import { echo, type FixtureEngine, type FixtureImages } from "./engine-fixture.ts";
import docker from "./fixture/docker-answers.json" with { type: "json" };
import { missingNames } from "./missing-names-fixture.ts";
import { serveApi } from "./server.ts";
import { call, type Fixture, frame, RawClient, serveFixture } from "./server-fixture.ts";

let fixture: Fixture;
let engine: FixtureEngine;

beforeEach(async () => {
  fixture = await serveFixture();
  engine = fixture.engine;
});

afterEach(() => fixture.remove());

describe("a request", () => {
  test("is answered with docker's headers", async () => {
    const { status, headers, text } = await fixture.call("GET", "/_ping");
    expect(status).toBe(200);
    expect(text).toBe("OK");
    expect(headers).toMatchObject({
      "api-version": "1.51",
      "docker-experimental": "false",
      ostype: "linux",
      "builder-version": "1",
    });
    expect(headers["server"]).toStartWith("Tiffin/");
  });

  test("by HEAD has no body", async () => {
    const { status, text, headers } = await fixture.call("HEAD", "/_ping");
    expect([status, text, headers["api-version"]]).toEqual([200, "", "1.51"]);
  });

  test("of a version that is not spoken is refused", async () => {
    const { status, json } = await fixture.call("GET", "/v1.60/info");
    expect(status).toBe(400);
    expect(json).toMatchObject({
      message: "client version 1.60 is too new. Maximum supported API version is 1.51",
    });
  });

  test("for a page that is not there is docker's 404", async () => {
    const { status, json } = await fixture.call("GET", "/v1.41/nope");
    expect([status, json]).toEqual([404, { message: "page not found", code: "not-found" }]);
  });

  test("that cannot be served yet says so", async () => {
    const { status, json } = await fixture.call("POST", "/swarm/init");
    expect(status).toBe(501);
    expect(json).toMatchObject({ code: "not-implemented" });
    expect((await fixture.call("GET", "/services")).status).toBe(503);
  });

  test("for a missing container is 404 with docker's message", async () => {
    const { status, json } = await fixture.call("GET", "/containers/nope/json");
    expect([status, json]).toEqual([
      404,
      { message: "No such container: nope", code: "not-found" },
    ]);
  });

  test("that changes nothing is 304 without a body", async () => {
    const { status, text } = await fixture.call("POST", "/containers/web/start");
    expect([status, text]).toEqual([304, ""]);
  });

  test("with a body that is no JSON is 400", async () => {
    const cut = { bytes: Buffer.from("{"), type: "application/json" };
    expect((await fixture.call("POST", "/containers/create", cut)).status).toBe(400);
    const other = { bytes: Buffer.from("{}"), type: "text/plain" };
    const { status, json } = await fixture.call("POST", "/containers/create", other);
    expect(status).toBe(400);
    expect(json).toMatchObject({
      message: "Content-Type specified (text/plain) must be 'application/json'",
    });
  });

  test("with too large a body is 400", async () => {
    const bytes = Buffer.alloc(5 * 1024 * 1024, 32);
    const { status } = await fixture.call("POST", "/containers/create", {
      bytes,
      type: "application/json",
    });
    expect(status).toBe(400);
  });

  test("creates a container", async () => {
    const { status, json } = await fixture.call("POST", "/v1.44/containers/create?name=/new", {
      json: { Image: "box:1", Cmd: ["true"] },
    });
    expect(status).toBe(201);
    expect(json).toEqual({ Id: engine.container("new").id, Warnings: [] });
    expect(engine.container("new").spec.command).toEqual(["true"]);
  });

  test("that nobody foresaw to fail is 500 and the server lives on", async () => {
    const written: string[] = [];
    const write = process.stderr.write.bind(process.stderr);
    process.stderr.write = (text: string | Uint8Array) => written.push(String(text)) > 0;
    engine.stopContainer = () => Promise.reject(new RangeError("out of cheese"));
    const { status, json } = await fixture.call("POST", "/containers/web/stop").finally(() => {
      process.stderr.write = write;
    });
    expect([status, json]).toEqual([500, { message: "out of cheese", code: "internal" }]);
    expect(written.join("")).toContain("RangeError: out of cheese");
    expect((await fixture.call("GET", "/_ping")).status).toBe(200);
  });

  test("whose query is wrong is 400", async () => {
    for (const target of [
      "/containers/json?limit=x",
      "/containers/json?filters=%7B%22foo%22%3A%5B%22x%22%5D%7D",
      "/containers/web/logs",
      "/containers/web/logs?stdout=1&since=yesterday",
    ]) {
      expect((await fixture.call("GET", target)).status).toBe(400);
    }
    expect((await fixture.call("POST", "/containers/web/wait?condition=tired")).status).toBe(400);
    expect((await fixture.call("POST", "/containers/web/resize?h=5")).status).toBe(400);
  });
});

describe("answers have all of docker's names:", () => {
  const answers: [string, unknown][] = [
    ["/info", docker.info],
    ["/version", docker.version],
    ["/networks", docker.networks],
    ["/volumes", docker.volumes],
    ["/system/df", docker.diskUsage],
  ];
  for (const [target, theirs] of answers) {
    test(target, async () => {
      const { json } = await fixture.call("GET", `/v1.41${target}`);
      expect(missingNames(theirs, json)).toEqual([]);
    });
  }

  test("/exec/{id}/json", async () => {
    const { json } = await fixture.call("POST", "/containers/web/exec", {
      json: { Cmd: ["true"] },
    });
    const { Id } = json as { Id: string };
    expect(missingNames(docker.exec, (await fixture.call("GET", `/exec/${Id}/json`)).json)).toEqual(
      [],
    );
  });
});

describe("the list of containers", () => {
  const names = async (query: string): Promise<string[]> => {
    const { json } = await fixture.call("GET", `/containers/json?${query}`);
    return (json as { Names: string[] }[]).flatMap(({ Names }) => Names);
  };
  const filtered = (filters: object): string =>
    `all=1&filters=${encodeURIComponent(JSON.stringify(filters))}`;

  test("has what runs, or all", async () => {
    expect(await names("")).toEqual(["/web", "/term"]);
    expect(await names("all=true")).toEqual(["/web", "/term", "/old"]);
    expect(await names("limit=1")).toEqual(["/web"]);
  });

  test("is filtered as docker does", async () => {
    expect(await names(filtered({ status: ["exited"] }))).toEqual(["/old"]);
    expect(await names(filtered({ name: ["^t"] }))).toEqual(["/term"]);
    expect(await names(filtered({ ancestor: ["box:1"] }))).toHaveLength(3);
    expect(await names(filtered({ ancestor: ["gone"] }))).toEqual([]);
    expect(await names(filtered({ before: ["web"] }))).toEqual(["/term", "/old"]);
    expect(await names(filtered({ since: ["old"] }))).toEqual(["/web", "/term"]);
    expect(await names(filtered({ exited: ["3"] }))).toEqual([]);
    expect(await names(filtered({ network: ["bridge"] }))).toHaveLength(3);
    expect(await names(filtered({ health: ["none"] }))).toHaveLength(3);
    expect(await names(filtered({ publish: ["80"] }))).toEqual([]);
  });
});

describe("a stream", () => {
  test("of a wait sends its headers at once and its answer at the exit", async () => {
    const response = await fixture.open("POST", "/containers/web/wait?condition=next-exit");
    expect(response.statusCode).toBe(200);
    await fixture.call("POST", "/containers/web/kill");
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    expect(JSON.parse(Buffer.concat(chunks).toString())).toEqual({ StatusCode: 137 });
  });

  test("of a wait does not hold the server when it closes", async () => {
    const response = await fixture.open("POST", "/containers/web/wait");
    response.on("error", () => undefined);
    const gone = new Promise((resolve) => response.once("close", resolve));
    await fixture.server.close();
    await gone;
    expect(response.complete).toBe(false);
  });

  test("of events ends for the engine when the client leaves", async () => {
    engine.sentEvents.push({
      type: "container",
      action: "start",
      actorId: "a",
      attributes: {},
      timeNano: 1795507528000000123n,
    });
    const client = new RawClient(fixture.path);
    client.socket.write("GET /events HTTP/1.1\r\nHost: d\r\n\r\n");
    await client.until((text) => text.includes('"timeNano":1795507528000000123}\n'));
    while (engine.open === 0) await Bun.sleep(1);
    client.socket.destroy();
    while (engine.open > 0) await Bun.sleep(1);
  });

  test("of logs that cannot be read is an error, followed or not", async () => {
    engine.copyLogs = async function* () {
      yield* [];
      throw new TiffinError(
        "not-implemented",
        "configured logging driver does not support reading",
      );
    };
    for (const follow of ["0", "1"]) {
      const { status } = await fixture.call(
        "GET",
        `/containers/web/logs?stdout=1&follow=${follow}`,
      );
      expect(status).toBe(501);
    }
  });

  test("of logs that is followed lives until the server closes", async () => {
    engine.logChunks = [Buffer.from(frame(1, "hi\n"))];
    const response = await fixture.open("GET", "/v1.44/containers/web/logs?stdout=1&follow=1");
    expect(response.headers["content-type"]).toBe("application/vnd.docker.multiplexed-stream");
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    while (chunks.length === 0) await Bun.sleep(1);
    await fixture.server.close();
    expect(engine.open).toBe(0);
    expect(Buffer.concat(chunks).toString("latin1")).toBe(frame(1, "hi\n"));
  });
});

describe("an image archive", () => {
  test("is read as it comes and answered with docker's lines", async () => {
    const bytes = Buffer.alloc(8 * 1024 * 1024, 1);
    const { status, text } = await fixture.call("POST", "/images/load", {
      bytes,
      type: "application/x-tar",
    });
    expect(status).toBe(200);
    expect(text).toBe('{"stream":"Loaded image: box:1\\n"}\r\n');
    expect((engine.images as FixtureImages).loadedBytes).toBe(bytes.length);
  });

  test("that is broken is a plain error", async () => {
    const { status, json } = await fixture.call("POST", "/images/load", {
      bytes: Buffer.from("x"),
    });
    expect(status).toBe(400);
    expect(json).toMatchObject({ message: "Cannot load image: the archive is cut short" });
  });

  test("that is broken after the first line is an error line", async () => {
    engine.images.load = async (_archive, report) => {
      report?.({ id: "abc", status: "Loading layer", currentBytes: 1, totalBytes: 2 });
      await Bun.sleep(5);
      throw new TiffinError("invalid-argument", "Cannot load image: layer 2 is missing");
    };
    const { status, text } = await fixture.call("POST", "/images/load", {
      bytes: Buffer.from("x"),
    });
    expect(status).toBe(200);
    const lines = text
      .trim()
      .split("\r\n")
      .map((line) => JSON.parse(line) as unknown);
    expect(lines).toEqual([
      { status: "Loading layer", progressDetail: { current: 1, total: 2 }, id: "abc" },
      {
        errorDetail: { message: "Cannot load image: layer 2 is missing" },
        error: "Cannot load image: layer 2 is missing",
      },
    ]);
  });

  test("whose client leaves in the middle disturbs nobody", async () => {
    const client = new RawClient(fixture.path);
    client.socket.write(
      "POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 1000000\r\n\r\nsome bytes",
    );
    while ((engine.images as FixtureImages).loadedBytes === 0) await Bun.sleep(1);
    client.socket.destroy();
    await Bun.sleep(20);
    expect((await fixture.call("GET", "/_ping")).status).toBe(200);
  });

  test("is pulled, or told in the registry's words", async () => {
    const there = await fixture.call(
      "POST",
      "/images/create?fromImage=docker.io/library/box&tag=1",
    );
    expect(there.text).toContain("Pulling from library/box");
    const gone = await fixture.call("POST", "/images/create?fromImage=gone&tag=1");
    expect(gone.status).toBe(404);
    expect(gone.json).toMatchObject({ message: "manifest for gone:1 not found" });
  });
});

describe("the socket", () => {
  test("is for its owner and group alone", () => {
    expect(statSync(fixture.path).mode & 0o777).toBe(0o660);
  });

  test("is not taken from a living engine", async () => {
    expect(serveApi(engine, { listen: fixture.path })).rejects.toThrow("is in use");
    expect((await fixture.call("GET", "/_ping")).status).toBe(200);
  });

  test("replaces one that a killed engine left", async () => {
    const stale = join(fixture.directory, "stale.sock");
    writeFileSync(stale, "");
    const second = await serveApi(engine, { listen: stale });
    await second.close();
  });

  test("may be one that listens already", async () => {
    // Without a file: closing a listener here would remove it.
    const inherited = `\0tiffin-api-test-${process.pid}`;
    const holder = createServer().listen(inherited);
    await once(holder, "listening");
    const { fd } = (holder as unknown as { _handle: { fd: number } })._handle;
    // In a process of its own, as with socket activation.
    const script = `
      const { serveApi } = await import(${JSON.stringify(join(import.meta.dir, "server.ts"))});
      const { FixtureEngine } = await import(${JSON.stringify(join(import.meta.dir, "engine-fixture.ts"))});
      await serveApi(new FixtureEngine(), { listen: { fd: 3 } });
      console.log("ready");`;
    const child = spawn(process.execPath, ["-e", script], {
      stdio: ["ignore", "pipe", "inherit", fd],
    });
    await once(child.stdout as Readable, "data");
    // From now on the child alone accepts.
    holder.close();
    const { text } = await call(inherited, "GET", "/_ping");
    child.kill();
    expect(text).toBe("OK");
  });

  test("takes many requests on one connection", async () => {
    const client = new RawClient(fixture.path);
    for (let round = 1; round <= 3; round += 1) {
      client.socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n");
      await client.until((text) => text.split("\r\n\r\nOK").length === round + 1);
    }
    client.socket.destroy();
  });

  test("answers a client that has closed its side", async () => {
    const client = new RawClient(fixture.path);
    client.socket.end("GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
    await client.ended;
    expect(client.received.toString()).toEndWith("OK");
  });
});

test("the fixture's program answers at the end of its input", async () => {
  const input = (async function* () {
    yield Buffer.from("a");
  })();
  const output: string[] = [];
  for await (const { data } of echo(input)) output.push(Buffer.from(data).toString());
  expect(output).toEqual(["a", "end of input\n"]);
});
