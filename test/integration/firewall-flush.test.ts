/** The engine's table is taken away by others, in a network namespace that is the engine's host, and comes back with all that belongs there. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { closeTestHost, openTestHost, type TestHost, testHostObstacle } from "./test-host.ts";

if (testHostObstacle !== undefined) console.log(`skipped: firewall flush: ${testHostObstacle}`);

setDefaultTimeout(120_000);

for (const policy of ["docker", "host"]) {
  describe.skipIf(testHostObstacle !== undefined)(`a flush, policy ${policy}`, () => {
    let host: TestHost;
    let engine: EngineFixture;
    let table = "";
    let port = "";

    beforeAll(async () => {
      host = openTestHost();
      engine = await openEngineFixture({
        tiffin: host.tiffin,
        env: { TIFFIN_FIREWALL: policy },
      });
      table = `tiffin-${engine.engineId.slice(0, 8)}`;
      await engine.importBusybox("bb");
      const words = ["-p", "80", "-p", "7000-7009:7000-7009", "bb"];
      const serve = "nc -ll -p 80 -e sh -c 'netstat -tn | grep :80'";
      await engine.tiffinOk("run", "-d", "--name", "web", ...words, "sh", "-c", serve);
      const shown = await engine.tiffinOk("port", "web", "80/tcp");
      port = shown.split("\n")[0]?.split(":").at(-1) ?? "";
    });
    afterEach(() => {
      engine.expectLog(/^tiffin: .*table inet .* is put back( \(\d+ times in a row\))?$/);
    });
    afterAll(async () => {
      await closeTestHost(host, engine);
    });

    const run = async (words: readonly string[]): Promise<string> => {
      const [program = "", ...args] = words;
      const client = engine.start(program, args);
      client.endInput();
      return (await client.ended).stdout;
    };
    const { there, there6, here, here6 } = {
      here: "198.18.0.1",
      here6: "2001:db8:18::1",
      there: "198.18.0.2",
      there6: "2001:db8:18::2",
    };
    const reached = async (): Promise<void> => {
      for (const [to, seen] of [
        [here, `${there}:`],
        [here6, there6],
      ] as const) {
        await until(
          `${to} is reached`,
          async () =>
            (await run([...host.there, "busybox", "nc", "-w", "2", to, port])).includes(seen),
          15_000,
        );
      }
    };
    const listed = (): string =>
      Bun.spawnSync([...host.here, "nft", "list", "table", "inet", table])
        .stdout.toString()
        // Where the maps' elements stand is the kernel's choice.
        .split("\n")
        .toSorted()
        .join("\n");
    const restorations = async (): Promise<string[]> => {
      const end = String(Math.floor(Date.now() / 1000) + 1);
      const shown = await engine.tiffinOk(
        "events",
        "--since",
        "0",
        "--until",
        end,
        "--filter",
        "event=firewall-restore",
        "--format",
        "{{.Type}} {{.Actor.Attributes.lack}} by {{.Actor.Attributes.by}}",
      );
      return shown.split("\n").filter((line) => line !== "");
    };

    for (const [what, command] of [
      ["the whole ruleset is flushed", "flush ruleset"],
      ["the table is deleted", "delete table inet TABLE"],
      ["its rules are", "flush table inet TABLE"],
      ["a set is emptied", "flush set inet TABLE bridges"],
      ["the ports are", "flush map inet TABLE open4"],
    ] as const) {
      test(`${what}: it is put back, and told`, async () => {
        await reached();
        const before = listed();
        const told = (await restorations()).length;
        host.nft(command.replace("TABLE", table));
        await until("it is told", async () => (await restorations()).length > told);
        expect(listed()).toBe(before);
        expect((await restorations()).at(-1)).toMatch(
          new RegExp(`^daemon .*table inet ${table}.* by nft \\(process \\d+\\)$`),
        );
        await reached();
        // And the way out.
        const server = engine.start(host.there[0] ?? "", [
          ...host.there.slice(1),
          ..."busybox nc -ll -p 81 -e sh -c".split(" "),
          "netstat -tn | grep :81",
        ]);
        try {
          await until("a container gets out", async () =>
            (
              await engine.tiffinOk(
                "exec",
                "web",
                "sh",
                "-c",
                `nc -w 2 ${there} 81 </dev/null; true`,
              )
            ).includes(`${here}:`),
          );
        } finally {
          server.process.kill("SIGKILL");
        }
      });
    }

    test("a flush while no engine is there: the next one puts it back", async () => {
      const before = listed();
      await engine.killEngine();
      host.nft("flush ruleset");
      await engine.startEngine();
      expect(listed()).toBe(before);
      await reached();
    });

    test("one container more, and one less, while it is gone", async () => {
      host.nft("flush ruleset");
      await engine.tiffinOk("run", "-d", "--name", "other", "-p", "7100:80", "bb", "sleep", "1000");
      host.nft("flush ruleset");
      await engine.tiffinOk("rm", "-f", "other");
      await until("it is back", () => listed().includes("bridges"));
      expect(listed()).not.toContain("7100");
      await reached();
    });

    test("who takes it away again and again is not fought with", async () => {
      const told = (await restorations()).length;
      let deletions = 0;
      for (const end = performance.now() + 4000; performance.now() < end; ) {
        if (host.tables().includes(`inet ${table}`)) {
          host.nft(`delete table inet ${table}`);
          deletions += 1;
        }
        await Bun.sleep(20);
      }
      // Every 20 ms it might be put back, 200 times.
      expect(deletions).toBeLessThan(12);
      expect((await restorations()).length - told).toBeLessThan(12);
      expect(engine.engineLog()).toContain("times in a row");
      await engine.tiffinOk("system", "check", "--repair");
      expect(host.tables()).toContain(`inet ${table}`);
    });
  });
}
