/** Ends processes that others rely on: the supervisor, the container's first process, the engine under its clients. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { descriptorKinds, supervisorOf, unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: ended processes: ${engineObstacle}`);

const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";

describe.skipIf(engineObstacle !== undefined)("a container", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, 120_000);

  afterAll(async () => {
    await engine.close();
  }, 60_000);

  const state = async (id: string, field: string): Promise<string> =>
    engine.tiffinOk("inspect", "-f", `{{.State.${field}}}`, id);
  const hasExited = (id: string) => async (): Promise<boolean> =>
    (await state(id, "Status")) === "exited";

  test("dies with its supervisor, and says that its status is lost", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    const pid = Number(await state(id, "Pid"));
    process.kill(supervisorOf(engine, id) ?? -1, "SIGKILL");
    await until("the container is recorded as exited", hasExited(id));
    expect(await state(id, "ExitCode")).toBe("137");
    expect(await state(id, "Error")).toContain("supervisor was lost");
    await until("its process is gone", async () => !isAlive(pid));
    await engine.tiffinOk("rm", id);
    expect(await unownedResources(engine)).toEqual([]);
  }, 60_000);

  test("whose first process is killed from outside has that signal's status", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    process.kill(Number(await state(id, "Pid")), "SIGKILL");
    expect(await engine.tiffinOk("wait", id)).toBe("137");
    expect(await state(id, "OOMKilled")).toBe("false");
    await engine.tiffinOk("rm", id);
  }, 60_000);

  test("goes on, and its log too, when the engine is killed under an attached client", async () => {
    const client = engine.startClient("tiffin", [
      "run",
      "--name",
      "attached",
      "busybox",
      "sh",
      "-c",
      COUNTER,
    ]);
    await client.seen(/^5$/m);
    const pid = await state("attached", "Pid");
    await engine.killEngine();
    await client.ended;
    await engine.startEngine();
    expect(await state("attached", "Pid")).toBe(pid);
    const again = engine.startClient("tiffin", ["attach", "attached"]);
    await again.seen(/^\d+$/m);
    await engine.tiffinOk("rm", "-f", "attached");
    await again.ended;
  }, 60_000);

  test("writes its log without a gap over the death of an engine", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sh", "-c", COUNTER);
    await engine.killEngine();
    await Bun.sleep(500);
    await engine.startEngine();
    await engine.tiffinOk("stop", "-t", "0", id);
    const lines = (await engine.tiffinOk("logs", id)).split("\n").map(Number);
    expect(lines).toEqual(lines.map((_, index) => index + 1));
    await engine.tiffinOk("rm", id);
  }, 60_000);

  test("leaves no descriptor in the engine, however many were started, stopped and entered", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    const cycle = async (): Promise<void> => {
      await engine.tiffinOk("run", "--rm", "busybox", "true");
      await engine.tiffinOk("exec", id, "true");
    };
    await cycle();
    const before = descriptorKinds(engine.pid());
    for (let round = 0; round < 10; round++) await cycle();
    await until("the engine holds what it held", async () => {
      const now = descriptorKinds(engine.pid());
      return Object.entries(now).every(([kind, count]) => count <= (before[kind] ?? 0));
    });
    await engine.tiffinOk("rm", "-f", id);
    expect(await unownedResources(engine)).toEqual([]);
  }, 120_000);

  test("belongs to one engine: a second one with the same places refuses", async () => {
    const second = engine.start("bin/tiffin", ["engine"]);
    expect((await second.ended).status).toBe(75);
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
