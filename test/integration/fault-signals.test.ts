/** Signals at bad moments: an engine that is stopped or asked to end at work, a launch that its engine does not outlive. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readLayout } from "../../src/cgroups/layout.ts";
import { callApi, callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { supervisedId, supervisorOf, unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: signals: ${engineObstacle}`);

const TIMEOUT_MS = 60_000;
const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
const FLOOD = "while :; do echo 0123456789012345678901234567890123456789; done";

describe.skipIf(engineObstacle !== undefined)("signals:", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await engine.close();
  }, TIMEOUT_MS);

  const run = (name: string, script: string) =>
    engine.tiffinOk("run", "-d", "--name", name, "busybox", "sh", "-c", script);
  const pidOf = async (name: string): Promise<number> =>
    Number(await engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", name));
  const logOf = (id: string): string =>
    readFileSync(join(engine.root, "containers", id, "logs/log"), "utf8");

  test(
    "a container and its log go on while the engine is stopped",
    async () => {
      const id = await run("counter", COUNTER);
      process.kill(engine.pid(), "SIGSTOP");
      try {
        const before = logOf(id).length;
        await until("the log grows", () => logOf(id).length > before + 1000);
      } finally {
        process.kill(engine.pid(), "SIGCONT");
      }
      await engine.tiffinOk("rm", "-f", "counter");
    },
    TIMEOUT_MS,
  );

  test(
    "SIGTERM ends the engine although clients are attached, wait, follow, and one does not read",
    async () => {
      await run("flood", FLOOD);
      const pid = await pidOf("flood");
      const words = [
        ["attach", "flood"],
        ["logs", "-f", "flood"],
      ];
      const clients = words.map((command) => engine.startClient("tiffin", command));
      const silent = engine.startClient("tiffin", ["attach", "flood"]);
      // Not commands: one that comes too late would start an engine.
      const others = [
        callApi(engine, "POST", "/containers/flood/wait"),
        callApi(engine, "GET", "/events"),
      ].map((answer) => answer.catch(() => undefined));
      await Promise.all(clients.map((client) => client.seen(/0123456789\n/)));
      await silent.seen(/0123456789\n/);
      silent.process.kill("SIGSTOP");
      await engine.stopEngine();
      silent.process.kill("SIGCONT");
      expect(await engine.engineEnded()).toBe(0);
      await Promise.all([...clients, silent].map(({ ended }) => ended));
      await Promise.all(others);
      await engine.startEngine();
      expect(await pidOf("flood")).toBe(pid);
      await engine.tiffinOk("rm", "-f", "flood");
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  /** Stops what enters the engine's cgroups: a launch stands still in the middle of its plan. */
  function freezeLaunches(isFrozen: boolean): void {
    const { unified, hierarchies } = readLayout();
    const group = `tiffin/${engine.engineId}`;
    if (unified !== null) {
      writeFileSync(join(unified, group, "cgroup.freeze"), isFrozen ? "1" : "0");
      return;
    }
    const freezer = hierarchies.find(({ controllers }) => controllers.includes("freezer"));
    const file = join(freezer?.mountPoint ?? "", group, "freezer.state");
    writeFileSync(file, isFrozen ? "FROZEN" : "THAWED");
  }

  for (const isStopped of [false, true]) {
    test(
      `a launch ends with its engine${isStopped ? ", also one that is stopped" : ""}, and leaves nothing`,
      async () => {
        await engine.tiffinOk("create", "--name", "late", "busybox", "sleep", "1000");
        const id = await engine.tiffinOk("inspect", "-f", "{{.Id}}", "late");
        freezeLaunches(true);
        try {
          void callApi(engine, "POST", "/containers/late/start").catch(() => undefined);
          await until("the launch has begun", () => hasProcesses(engine, id));
          const launcher = supervisorOf(engine, id) ?? -1;
          if (isStopped) process.kill(launcher, "SIGSTOP");
          await engine.killEngine();
          await until("the launcher is dead", () => isDead(launcher));
        } finally {
          freezeLaunches(false);
        }
        await engine.startEngine();
        const format = "{{.State.Status}} {{.State.Pid}}";
        expect(await engine.tiffinOk("inspect", "-f", format, "late")).toBe("created 0");
        expect(await unownedResources(engine)).toEqual([]);
        await engine.tiffinOk("start", "late");
        await engine.tiffinOk("rm", "-f", "late");
      },
      TIMEOUT_MS,
    );
  }

  test(
    "a supervisor that is stopped does not hold up the next engine, and is adopted once it goes on",
    async () => {
      const id = await run("held", "trap 'exit 5' TERM; while :; do sleep 0.05; done");
      const supervisor = supervisorOf(engine, id) ?? -1;
      const pid = await pidOf("held");
      process.kill(supervisor, "SIGSTOP");
      try {
        await engine.killEngine();
        await engine.startEngine();
        expect(await pidOf("held")).toBe(pid);
        expect(await unownedResources(engine)).toEqual([]);
      } finally {
        process.kill(supervisor, "SIGCONT");
      }
      expect(await engine.tiffinOk("stop", "held")).toBe("held");
      expect(await engine.tiffinOk("wait", "held")).toBe("5");
      await engine.tiffinOk("rm", "held");
    },
    TIMEOUT_MS,
  );

  test(
    "an engine that is stopped in order leaves its containers alone and says nothing of them",
    async () => {
      const id = await run("kept", COUNTER);
      const pid = await pidOf("kept");
      const said = engine.engineLog();
      await engine.stopEngine();
      expect(engine.engineLog()).toBe(said);
      expect(existsSync(`/proc/${pid}`)).toBe(true);
      await engine.startEngine();
      expect(await pidOf("kept")).toBe(pid);
      await engine.tiffinOk("exec", id, "true");
      await engine.tiffinOk("rm", "-f", "kept");
    },
    TIMEOUT_MS,
  );

  test(
    "engines with places of their own neither see nor disturb each other",
    async () => {
      const id = await run("mine", COUNTER);
      const other = await openEngineFixture();
      try {
        await other.importBusybox();
        await other.tiffinOk("run", "-d", "--name", "mine", "busybox", "sleep", "1000");
        expect(await callOk(other, "GET", "/containers/json?all=1")).toHaveLength(1);
        await other.killEngine();
        await engine.killEngine();
        await engine.startEngine();
        await other.startEngine();
        expect(await unownedResources(engine)).toEqual([]);
        expect(await unownedResources(other)).toEqual([]);
      } finally {
        await other.close();
      }
      const lines = logOf(id)
        .trimEnd()
        .split("\n")
        .map((line) => Number(line.split(" F ")[1]));
      expect(lines).toEqual(lines.map((_, index) => index + 1));
      await engine.tiffinOk("rm", "-f", "mine");
    },
    TIMEOUT_MS,
  );
});

/** The launcher has its run directory open and the container's first process is there. */
function hasProcesses({ run, engineId }: EngineFixture, id: string): boolean {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const isLaunched = pids.some((pid) => supervisedId(pid, run) === id);
  return isLaunched && pids.some((pid) => groups(pid).includes(`/tiffin/${engineId}/${id}`));
}

/** Whoever inherits an orphan may take its time to reap it. */
function isDead(pid: number): boolean {
  try {
    return /^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return true;
  }
}

function groups(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, "utf8");
  } catch {
    // It has ended.
    return "";
  }
}
