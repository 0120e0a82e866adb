/** update: limits of running containers, as the kernel has them, and restart policies; by docker's client and tiffin. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { callApi, callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: update: ${obstacle}`);

setDefaultTimeout(60_000);

const MIB = 1 << 20;
const isV2 = existsSync("/sys/fs/cgroup/cgroup.controllers");

let engine: EngineFixture;

interface Inspected {
  readonly Id: string;
  readonly State: { readonly Status: string; readonly Pid: number };
  readonly HostConfig: Readonly<Record<string, unknown>>;
}

const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);

async function run(name: string, ...options: string[]): Promise<Inspected> {
  const words = ["--name", name, "--network", "none", ...options, "busybox", "sleep", "1000"];
  await engine.tiffinOk("run", "-d", ...words);
  return await inspect(name);
}

/** What the kernel has of a limit, in v1's or v2's file. */
function limit(id: string, controller: string, [v1, v2]: readonly [string, string]): string {
  const group = `tiffin/${engine.engineId}/${id}`;
  const path = isV2
    ? `/sys/fs/cgroup/${group}/${v2}`
    : `/sys/fs/cgroup/${controller}/${group}/${v1}`;
  return readFileSync(path, "utf8").trim();
}

const memory = (id: string) => limit(id, "memory", ["memory.limit_in_bytes", "memory.max"]);
const pids = (id: string) => limit(id, "pids", ["pids.max", "pids.max"]);
const cpu = (id: string) =>
  limit(id, "cpu", ["cpu.cfs_quota_us", "cpu.max"]).replace(/ 100000$/, "");

describe.skipIf(obstacle !== undefined)("update", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => {
    await engine.removeContainers();
    expect(await unownedResources(engine)).toEqual([]);
  });
  afterAll(async () => await engine.close());

  test("changes the limits of a running container at once, and of the next start", async () => {
    for (const client of [engine.docker, engine.tiffin]) {
      // What had no limit before has no group of its own on v1: its processes move.
      const { Id } = await run("box", "-m", "64m");
      const options = ["-m", "96m", "--memory-swap", "192m", "--cpus", "0.5", "--pids-limit", "9"];
      const changed = await client(["update", ...options, "box"]);
      expect(changed).toMatchObject({ status: 0, stdout: "box\n", stderr: "" });
      const hold = () => [memory(Id), cpu(Id), pids(Id)];
      expect(hold()).toEqual([String(96 * MIB), "50000", "9"]);
      const forked = await engine.tiffin([
        "exec",
        "box",
        "sh",
        "-c",
        "for i in 1 2 3 4 5 6 7 8 9 0; do sleep 9 & done",
      ]);
      expect(forked.stderr).toMatch(/can't fork/);
      await engine.tiffinOk("restart", "-t", "0", "box");
      expect(hold()).toEqual([String(96 * MIB), "50000", "9"]);
      expect((await inspect("box")).HostConfig).toMatchObject({
        Memory: 96 * MIB,
        MemorySwap: 192 * MIB,
        NanoCpus: 500_000_000,
        PidsLimit: 9,
      });
      await client(["update", "--pids-limit", "-1", "box"]);
      expect(pids(Id)).toBe("max");
      await client(["rm", "-f", "box"]);
    }
  });

  test("changes what does not run for its next start", async () => {
    await engine.dockerOk("create", "--name", "box", "busybox", "sleep", "1000");
    await engine.dockerOk("update", "-m", "48m", "box");
    await engine.dockerOk("start", "box");
    expect(memory((await inspect("box")).Id)).toBe(String(48 * MIB));
  });

  test("refuses what cannot be, in docker's words, and changes nothing then", async () => {
    const { Id } = await run("box", "-m", "64m", "--cpus", "0.5");
    const refused: [string[], RegExp][] = [
      [["-m", "4m"], /Minimum memory limit allowed is 6MB/],
      [["-m", "1g"], /should be smaller than already set memoryswap limit/],
      [["--cpu-quota", "50000"], /CPU Quota cannot be updated as NanoCPUs has already been set/],
      [["--cpus", "1000"], /Range of CPUs is from 0\.01 to/],
      [["--cpuset-cpus", "999"], /Requested CPUs are not available/],
      [["--restart", "sometimes"], /invalid restart policy/],
      [[], /you must provide one or more flags when using this command/],
    ];
    for (const client of [engine.docker, engine.tiffin]) {
      for (const [options, words] of refused) {
        const { status, stderr } = await client(["update", ...options, "box"]);
        expect({ options, status }).toEqual({ options, status: 1 });
        expect(stderr).toMatch(words);
      }
      const some = await client(["update", "--cpu-shares", "512", "box", "nope"]);
      expect(some).toMatchObject({ status: 1, stdout: "box\n" });
      expect(some.stderr).toContain("No such container: nope");
    }
    expect([memory(Id), cpu(Id)]).toEqual([String(64 * MIB), "50000"]);
    expect((await inspect("box")).HostConfig).toMatchObject({ Memory: 64 * MIB, CpuQuota: 0 });
  });

  test("puts back what was changed before the kernel refused", async () => {
    const { Id } = await run("box", "-m", "64m", "--pids-limit", "9");
    const fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null";
    await engine.tiffinOk("exec", "box", "sh", "-c", fill);
    const body = { Memory: 16 * MIB, MemorySwap: 16 * MIB, PidsLimit: 5 };
    const { status } = await callApi(engine, "POST", "/containers/box/update", body);
    // v1 refuses less than is in use (with no swap to go to); v2 takes the limit and kills.
    if (isV2) return expect([200, 409]).toContain(status);
    expect(status).toBe(409);
    expect([memory(Id), pids(Id)]).toEqual([String(64 * MIB), "9"]);
    expect((await inspect("box")).HostConfig).toMatchObject({ Memory: 64 * MIB, PidsLimit: 9 });
  });

  test("changes the restart policy, not with --rm", async () => {
    await engine.tiffinOk("run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 1; exit 3");
    await engine.dockerOk("update", "--restart", "on-failure:2", "box");
    await until("it has restarted twice and given up", async () => {
      const { RestartCount, State } = (await inspect("box")) as Inspected & {
        RestartCount: number;
      };
      return RestartCount === 2 && State.Status === "exited";
    });
    await run("gone", "--rm");
    const { status, stderr } = await engine.docker(["update", "--restart", "always", "gone"]);
    expect(status).toBe(1);
    expect(stderr).toContain("AutoRemove is enabled for the container");
  });

  for (const fault of ["update:recorded", "update:applied"]) {
    test(`is finished after a kill at ${fault}`, async () => {
      const { Id, State } = await run("box", "-m", "64m");
      await engine.killEngine();
      await engine.startEngine({ TIFFIN_FAULT: fault });
      const body = { Memory: 96 * MIB, PidsLimit: 9 };
      await callApi(engine, "POST", "/containers/box/update", body).catch(() => undefined);
      expect(await engine.engineEnded()).toBe("SIGKILL");
      await engine.startEngine();
      expect([memory(Id), pids(Id)]).toEqual([String(96 * MIB), "9"]);
      const { State: after, HostConfig } = await inspect("box");
      expect(after).toMatchObject({ Status: "running", Pid: State.Pid });
      expect(HostConfig).toMatchObject({ Memory: 96 * MIB, PidsLimit: 9 });
      await engine.tiffinOk("rm", "-f", "box");
    });
  }
});
