/** What containers use, told by tiffin, by docker's client and by the API, held against what they do. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { callApi, callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: stats: ${engineObstacle}`);
const hasDocker = Bun.which("docker") !== null;
if (!hasDocker) console.log("skipped: stats of docker's client: there is none");
const clients: readonly ("docker" | "tiffin")[] = hasDocker ? ["docker", "tiffin"] : ["tiffin"];

let engine: EngineFixture;

interface Stats {
  readonly name: string;
  readonly read: string;
  readonly preread: string;
  readonly pids_stats: { current?: number };
  readonly cpu_stats: { cpu_usage: { total_usage: number }; system_cpu_usage: number };
  readonly precpu_stats: { cpu_usage: { total_usage: number }; system_cpu_usage?: number };
  readonly memory_stats: { usage: number; limit: number; stats: Record<string, number> };
  readonly blkio_stats: { io_service_bytes_recursive: { op: string; value: number }[] | null };
  readonly networks?: Record<string, { rx_bytes: number }>;
  readonly pressure?: Record<string, { some: { total: number } }>;
}

type Row = Readonly<Record<string, string>>;

const number = (text = ""): number => Number.parseFloat(text);

describe.skipIf(engineObstacle !== undefined)("stats", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    const run = ["run", "-d", "--network", "none", "--name"];
    await engine.tiffinOk(...run, "idle", "busybox", "sleep", "1000");
    await engine.tiffinOk(
      ...run,
      "busy",
      "--cpus",
      "0.3",
      "--memory",
      "64m",
      "busybox",
      "sh",
      "-c",
      "dd if=/dev/zero of=/dev/shm/full bs=1M count=20; while :; do :; done",
    );
    await engine.tiffinOk("create", "--name", "stopped", "busybox", "true");
    await until("20 MB are in use", async () => (await one("busy")).memory_stats.usage > 20e6);
  });
  afterAll(async () => await engine.close());

  const one = (name: string, query = "stream=0"): Promise<Stats> =>
    callOk<Stats>(engine, "GET", `/containers/${name}/stats?${query}`);

  const ok = (client: "docker" | "tiffin", ...args: string[]): Promise<string> =>
    client === "docker" ? engine.dockerOk(...args) : engine.tiffinOk(...args);

  async function rows(run: "docker" | "tiffin", ...args: string[]): Promise<Map<string, Row>> {
    const words = ["stats", "--no-stream", "--format", "{{json .}}", ...args];
    const text = await ok(run, ...words);
    const parsed = text.split("\n").map((line) => JSON.parse(line) as Row);
    return new Map(parsed.map((row) => [row["Name"] ?? "", row]));
  }

  describe.each(clients)("of %s", (client) => {
    test("shows running containers: who works and who sleeps, memory and its limit, processes", async () => {
      const shown = await rows(client);
      expect([...shown.keys()]).toEqual(["busy", "idle"]);
      const [busy, idle] = [shown.get("busy"), shown.get("idle")];
      expect(number(busy?.["CPUPerc"])).toBeGreaterThan(3);
      expect(number(busy?.["CPUPerc"])).toBeLessThan(60);
      expect(number(idle?.["CPUPerc"])).toBeLessThan(3);
      expect(busy?.["MemUsage"]).toMatch(/^2\d(\.\d+)?MiB \/ 64MiB$/);
      expect(number(busy?.["MemPerc"])).toBeGreaterThan(25);
      expect(idle?.["PIDs"]).toBe("1");
      expect(idle?.["NetIO"]).toBe("0B / 0B");
    });

    test("shows with --all those too that do not run, and named ones in the order given", async () => {
      expect([...(await rows(client, "--all")).keys()]).toEqual(["stopped", "busy", "idle"]);
      const named = await rows(client, "idle", "stopped");
      expect([...named.keys()]).toEqual(["idle", "stopped"]);
      expect(named.get("stopped")?.["MemUsage"]).toBe("0B / 0B");
      expect(named.get("idle")?.["Container"]).toBe("idle");
    });

    test("--no-trunc shows whole IDs; tables and templates are docker's; who is not there is an error", async () => {
      const [busy] = await ok(
        client,
        "stats",
        "--no-stream",
        "--no-trunc",
        "--format",
        "{{.ID}}",
      ).then((text) => text.split("\n"));
      expect(busy).toMatch(/^[0-9a-f]{64}$/);
      const table = await ok(client, "stats", "--no-stream", "idle");
      expect(table.split("\n")[0]?.split(/ {2,}/)).toEqual([
        "CONTAINER ID",
        "NAME",
        "CPU %",
        "MEM USAGE / LIMIT",
        "MEM %",
        "NET I/O",
        "BLOCK I/O",
        "PIDS",
      ]);
      const failed = await engine[client](["stats", "--no-stream", "nobody"]);
      expect(failed.status).toBe(1);
      expect(failed.stderr).toContain("No such container: nobody");
    });
  });

  test("live: a frame a second over the one before, with who starts and without who ends", async () => {
    const client = engine.startClient("tiffin", ["stats", "--format", "{{.Name}}."]);
    await client.seen(/\[Hbusy\.[^\n]*\nidle\./);
    await engine.tiffinOk("run", "-d", "--rm", "--name", "late", "busybox", "sleep", "1000");
    await client.seen(/\[Hlate\.[^\n]*\nbusy\./);
    await engine.tiffinOk("rm", "-f", "late");
    const seen = client.stdout().length;
    await until("it is gone", () => client.stdout().slice(seen).includes("\u001b[Hbusy."));
    client.process.kill("SIGINT");
    await client.ended;
  });

  test("live of a named one ends when it is removed", async () => {
    await engine.tiffinOk("run", "-d", "--name", "short", "busybox", "sleep", "1000");
    const client = engine.startClient("tiffin", ["stats", "short"]);
    await client.seen(/short/);
    await engine.tiffinOk("rm", "-f", "short");
    expect((await client.ended).status).toBe(0);
  });

  test("--pressure shows what containers wait for; the API has it in a field of its own", async () => {
    const stats = await one("busy");
    if (stats.pressure?.["cpu"] === undefined) return console.log("skipped: pressure: no PSI here");
    // It is throttled all the time.
    expect(stats.pressure["cpu"].some.total).toBeGreaterThan(0);
    const [header, row] = (
      await engine.tiffinOk("stats", "--no-stream", "--pressure", "busy")
    ).split("\n");
    expect(header).toMatch(/CPU PRESSURE +CPU STALLED +MEM PRESSURE +MEM STALLED +I\/O PRESSURE/);
    expect(row).toMatch(/busy .*\d\.\d\d% \/ \d+\.\d\d% +[\d.]+m?s /);
  });

  test("a rate comes from the sample that somebody took before, or from one a tenth of a second earlier", async () => {
    const first = await one("busy");
    const second = await one("busy");
    const third = await one("busy");
    for (const { read, preread, cpu_stats: now, precpu_stats: before } of [first, second, third]) {
      const elapsed = Date.parse(read) - Date.parse(preread);
      expect(elapsed).toBeGreaterThanOrEqual(99);
      expect(elapsed).toBeLessThanOrEqual(10_100);
      const host = now.system_cpu_usage - (before.system_cpu_usage ?? 0);
      const used = now.cpu_usage.total_usage - before.cpu_usage.total_usage;
      expect(used / host).toBeLessThan(0.6);
    }
  });

  test("one-shot has no earlier sample; a stream and one-shot exclude each other", async () => {
    const stats = await one("busy", "stream=0&one-shot=1");
    expect(stats.preread).toBe("0001-01-01T00:00:00Z");
    expect(stats.precpu_stats.cpu_usage.total_usage).toBe(0);
    const { status, text } = await callApi(engine, "GET", "/containers/busy/stats?one-shot=1");
    expect(status).toBe(400);
    expect(text).toContain("cannot have stream=true and one-shot=true");
  });

  test("a stream brings one object a second, each with the sample before it", async () => {
    const response = await fetch("http://tiffin/containers/busy/stats", {
      unix: engine.socket,
    } as RequestInit);
    const lines: Stats[] = [];
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      lines.splice(
        0,
        lines.length,
        ...text
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Stats),
      );
      if (lines.length >= 2) break;
    }
    expect(lines[1]?.preread).toBe(lines[0]?.read ?? "none");
  });

  test("a container that joins the host's network tells no traffic of the host's", async () => {
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "open",
      "--network",
      "host",
      "busybox",
      "sleep",
      "1000",
    );
    expect((await one("open")).networks).toBeUndefined();
    await engine.tiffinOk("rm", "-f", "open");
  });
});
