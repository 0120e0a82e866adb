/** Ports that are published, and no longer, while the container runs. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { callApi } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: live publishing: ${engineObstacle}`);

setDefaultTimeout(120_000);

describe.if(engineObstacle === undefined)("tiffin update --publish-add, --publish-rm", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
  });
  afterEach(() => engine.removeContainers());
  afterAll(() => engine.close());

  /** A port of the host that nobody has. */
  const freePort = (): number => {
    const server = Bun.listen({ hostname: "0.0.0.0", port: 0, socket: { data: () => undefined } });
    server.stop(true);
    return server.port;
  };
  const serve = (name: string, ...options: string[]): Promise<string> => {
    const program = "nc -ll -p 81 -e echo other & exec nc -ll -p 80 -e hostname";
    const words = ["-d", "--name", name, "--hostname", name, ...options];
    return engine.tiffinOk("run", ...words, "bb", "sh", "-c", program);
  };
  const update = (...args: string[]): Promise<string> => engine.tiffinOk("update", ...args);
  const say = async (port: number, address = "127.0.0.1"): Promise<string> => {
    const client = engine.start("busybox", ["nc", "-w", "2", address, String(port)]);
    client.endInput();
    return (await client.ended).stdout.trim();
  };
  const ports = (name: string): Promise<string> => engine.tiffinOk("port", name);
  const bindings = (name: string): Promise<string> =>
    engine.dockerOk("inspect", "-f", "{{json .HostConfig.PortBindings}}", name);

  test("a port is had at once, led elsewhere in one go, and gone at once; the others are not touched", async () => {
    const [first, second] = [freePort(), freePort()];
    await serve("web", "-p", `${first}:80`);
    await until("web serves", async () => (await say(first)) === "web");
    const held = Bun.connect({
      hostname: "127.0.0.1",
      port: first,
      socket: { data: () => undefined },
    });
    await update("--publish-add", `${second}:80`, "web");
    expect(await say(second)).toBe("web");
    expect(await say(second, "::1")).toBe("web");
    expect(await say(first)).toBe("web");
    expect(await engine.dockerOk("ps", "--format", "{{.Ports}}")).toContain(
      `0.0.0.0:${second}->80`,
    );

    await update("--publish-rm", String(first), "--publish-add", `${first}:81`, "web");
    expect(await say(first)).toBe("other");
    await until("::1 leads there", async () => (await say(first, "::1")) === "other");
    await update("--publish-rm", `${first}:81`, "web");
    expect(await say(first)).toBe("");
    expect(await say(first, "::1")).toBe("");
    expect(await say(second)).toBe("web");
    expect((await ports("web")).split("\n").toSorted()).toEqual([
      `80/tcp -> 0.0.0.0:${second}`,
      `80/tcp -> [::]:${second}`,
    ]);
    expect(await bindings("web")).toBe(`{"80/tcp":[{"HostIp":"","HostPort":"${second}"}]}`);
    (await held).end();
  });

  test("the first port of a container, a range, a free one and udp", async () => {
    await serve("web");
    await update("--publish-add", "127.0.0.1::80", "--publish-add", "5353:53/udp", "web");
    const [, chosen = ""] = /80\/tcp -> 127\.0\.0\.1:(\d+)/.exec(await ports("web")) ?? [];
    await until("web serves", async () => (await say(Number(chosen))) === "web");
    expect(await ports("web")).toContain("53/udp -> 0.0.0.0:5353");
    await update("--publish-add", "127.0.0.1:27000-27009:27000-27009", "web");
    await update("--publish-rm", "27003-27005", "--publish-rm", "5353/udp", "web");
    expect((await ports("web")).match(/27\d+\/tcp/g)).toHaveLength(7);
    // Somebody else may have what is free.
    await serve("other", "-p", "127.0.0.1:27004:80");
    await until("other serves", async () => (await say(27_004)) === "other");
    expect(await say(Number(chosen))).toBe("web");
  });

  test("a successor of a killed engine, and the container's next start, have them", async () => {
    const port = freePort();
    await serve("web", "-P", "--expose", "80");
    await update("--publish-add", `${port}:80`, "web");
    const before = await ports("web");
    await engine.killEngine();
    await engine.startEngine();
    expect(await ports("web")).toBe(before);
    expect(await say(port)).toBe("web");
    await engine.tiffinOk("restart", "-t", "0", "web");
    await until("web serves", async () => (await say(port)) === "web");
    const published = (await ports("web")).match(/(?<=:)\d+$/gm) ?? [];
    const chosen = published.find((one) => one !== String(port)) ?? "";
    await update("--publish-rm", chosen, "web");
    expect(await bindings("web")).toBe(`{"80/tcp":[{"HostIp":"","HostPort":"${port}"}]}`);
  });

  test("a stopped container has them from its next start on", async () => {
    const port = freePort();
    await engine.tiffinOk("create", "--name", "idle", "-p", "8080:80", "bb", "sleep", "60");
    await update("--publish-rm", "8080", "--publish-add", `127.0.0.1:${port}:80`, "idle");
    expect(await ports("idle")).toBe("");
    await engine.tiffinOk("start", "idle");
    expect(await ports("idle")).toBe(`80/tcp -> 127.0.0.1:${port}`);
  });

  test("what cannot be is refused, and nothing of it is done", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const [own, free] = [freePort(), freePort()];
    await serve("web", "-p", `127.0.0.1:${own}:80`);
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "hosted",
      "--network",
      "host",
      "bb",
      "sleep",
      "60",
    );
    const before = [await ports("web"), await bindings("web")];
    const add = (port: number): string[] => ["--publish-add", `127.0.0.1:${port}:80`];
    for (const [args, words] of [
      [[...add(free), ...add(server.port), "web"], `allocated by process ${process.pid}`],
      [[...add(free), ...add(own), "web"], "already allocated by"],
      [[...add(free), "--publish-rm", "9", "web"], "Cannot unpublish port 9 of container"],
      [[...add(free), "--memory", "1", "web"], "memory"],
      [["--publish-rm", "x", "web"], "invalid published port"],
      [[...add(free), "hosted"], "it has no network of its own"],
    ] as const) {
      const { status, stderr } = await engine.tiffin(["update", ...args]);
      expect({ args, status, told: stderr.includes(words) ? words : stderr }).toEqual({
        args,
        status: 1,
        told: words,
      });
    }
    expect([await ports("web"), await bindings("web")]).toEqual(before);
    expect(await say(free)).toBe("");
    await until("web serves", async () => (await say(own)) === "web");
    server.stop(true);
  });

  test("docker's update event tells of it", async () => {
    await serve("web");
    const since = String(Math.floor(Date.now() / 1000) - 1);
    await update("--publish-add", "127.0.0.1::80", "web");
    const events = await engine.dockerOk(
      "events",
      "--since",
      since,
      "--until",
      String(Math.floor(Date.now() / 1000) + 1),
      "--filter",
      "event=update",
    );
    expect(events).toContain("container update");
  });

  for (const fault of ["update:recorded", "update:ports-recorded", "update:applied"]) {
    test(`an engine that is killed at ${fault}: the next one leads the new ports`, async () => {
      const [first, second] = [freePort(), freePort()];
      await serve("web", "-p", `127.0.0.1:${first}:80`);
      await engine.killEngine();
      await engine.startEngine({ TIFFIN_FAULT: fault });
      const change = {
        PublishAdd: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: String(second) }] },
        PublishRemove: [String(first)],
      };
      await callApi(engine, "POST", "/tiffin/containers/web/update", change).catch(() => undefined);
      expect(await engine.engineEnded()).toBe("SIGKILL");
      await engine.startEngine();
      expect(await ports("web")).toBe(`80/tcp -> 127.0.0.1:${second}`);
      await until("web serves", async () => (await say(second)) === "web");
      expect(await say(first)).toBe("");
    });
  }
});
