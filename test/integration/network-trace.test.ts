/** What `network trace` says, with a table of the test's own whose rules match one port. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("nft") === null ? "this needs nft (Debian's nftables)" : undefined);
if (obstacle !== undefined) console.log(`skipped: network trace: ${obstacle}`);

setDefaultTimeout(120_000);

describe.if(obstacle === undefined)("tiffin network trace", () => {
  let engine: EngineFixture;
  const own = `trace-test-${process.pid}`;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
  });
  afterEach(async () => {
    Bun.spawnSync(["nft", "delete", "table", "inet", own]);
    await engine.removeContainers();
  });
  afterAll(() => engine.close());

  const trace = async (port: string): Promise<{ status: number; stdout: string }> => {
    const { status, stdout } = await engine.tiffin(["network", "trace", port]);
    return { status, stdout };
  };
  const nft = (rules: string): void => {
    const ran = Bun.spawnSync(["nft", "-f", "-"], { stdin: Buffer.from(rules) });
    expect(ran.stderr.toString()).toBe("");
  };

  test("a published port, whether anybody listens, and a rule of another table", async () => {
    const script = "while [ ! -e /go ]; do sleep 0.1; done; exec nc -ll -p 28480 -e hostname";
    const words = ["-d", "--name", "web", "-p", "127.0.0.1:28481:28480", "bb", "sh", "-c", script];
    await engine.tiffinOk("run", ...words);
    const silent = await trace("28481");
    expect(silent).toMatchObject({ status: 1 });
    expect(silent.stdout).toContain('is published by container "web"');
    expect(silent.stdout).toContain("not reached: nobody in it listens on port 28480/tcp");

    await engine.tiffinOk("exec", "web", "touch", "/go");
    await until("web listens", async () => {
      const { status, stdout } = await trace("28481");
      return status === 0 && stdout.includes("it listens on port 28480/tcp");
    });
    const chain = (rule: string): string =>
      `table inet ${own} { chain way { type filter hook forward priority 5; ${rule}; }; }\n`;
    nft(chain("tcp dport 28480 counter drop"));
    const dropped = await trace("28481");
    expect(dropped).toMatchObject({ status: 1 });
    expect(dropped.stdout).toMatch(
      new RegExp(`not reached: table inet ${own}, forward chain way: rule \\d+ of chain way drops`),
    );
    nft(
      `flush table inet ${own}\n${chain("ct status dnat tcp dport 28480 accept; tcp dport 28480 drop")}`,
    );
    expect((await trace("28481")).stdout).not.toContain(own);
    nft(`flush table inet ${own}\n${chain("tcp dport 28481 drop")}`);
    expect((await trace("28481")).stdout).not.toContain(own);
    nft(`flush table inet ${own}\n${chain("tcp dport 28480 meta mark 7 drop")}`);
    expect((await trace("28481")).stdout).toContain("may drop");
  });

  test("a table that somebody took away", async () => {
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "web",
      "-p",
      "127.0.0.1:28482:80",
      "bb",
      "sleep",
      "60",
    );
    Bun.spawnSync(["nft", "delete", "table", "inet", `tiffin-${engine.engineId.slice(0, 8)}`]);
    engine.expectLog(/table inet tiffin-.* is gone: nft .* it is put back$/);
    await until("the table is back", async () =>
      (await trace("28482")).stdout.includes("leads it to"),
    );
  });

  test("a port that no container publishes, and one that a stopped container would", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const held = await trace(String(server.port));
    expect(held).toMatchObject({ status: 1 });
    expect(held.stdout).toContain(`process ${process.pid} (bun`);
    server.stop(true);
    await engine.tiffinOk("create", "--name", "idle", "-p", "28483:80/udp", "bb", "true");
    expect((await trace("28483/udp")).stdout).toContain("hint: tiffin start idle");
    const json = await engine.tiffin(["network", "trace", "--format", "json", "28483"]);
    expect(JSON.parse(json.stdout)).toMatchObject({ Port: 28_483, Verdict: "not published" });
    expect((await engine.tiffin(["network", "trace", "x"])).stderr).toContain(
      "invalid port specification",
    );
  });
});
