/** Ends processes that others rely on: the supervisor, the container's first process, the engine under its clients. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { callApi, callOk } from "./engine-api.ts";
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

  test("whose supervisor was killed while no engine was there is told the same", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    await engine.tiffinOk("run", "-d", "--rm", "--name", "passing", "busybox", "sleep", "1000");
    const passing = await engine.tiffinOk("inspect", "-f", "{{.Id}}", "passing");
    const supervisors = [id, passing].map((one) => supervisorOf(engine, one) ?? -1);
    await engine.killEngine();
    for (const pid of supervisors) process.kill(pid, "SIGKILL");
    await engine.startEngine();
    expect(await state(id, "ExitCode")).toBe("137");
    expect(await state(id, "Error")).toContain("supervisor was lost");
    expect((await engine.tiffin(["inspect", "passing"])).status).toBe(1);
    await engine.tiffinOk("start", id);
    await engine.tiffinOk("rm", "-f", id);
    expect(await unownedResources(engine)).toEqual([]);
  }, 60_000);

  test("does not mind when the supervisor of an exec is killed: the exec ends with it", async () => {
    const id = await engine.tiffinOk("run", "-d", "busybox", "sleep", "1000");
    const client = engine.startClient("tiffin", ["exec", id, "sh", "-c", "echo up; sleep 1000"]);
    await client.seen(/up/);
    const { ExecIDs } = await callOk<{ ExecIDs: string[] }>(
      engine,
      "GET",
      `/containers/${id}/json`,
    );
    process.kill(supervisorOf(engine, ExecIDs[0] ?? "") ?? -1, "SIGKILL");
    expect((await client.ended).status).toBe(137);
    await until("the exec's process is gone", async () => {
      return !(await engine.tiffinOk("exec", id, "ps", "-o", "args")).includes("echo up");
    });
    expect(await state(id, "Status")).toBe("running");
    expect(await unownedResources(engine)).toEqual([]);
    await engine.tiffinOk("rm", "-f", id);
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
    await engine.tiffinOk("create", "--name", "again", "busybox", "sleep", "1000");
    const cycle = async (): Promise<void> => {
      await callOk(engine, "POST", "/containers/again/start");
      const made = await callOk<{ Id: string }>(engine, "POST", "/containers/again/exec", {
        Cmd: ["true"],
      });
      await callOk(engine, "POST", `/exec/${made.Id}/start`, { Detach: true });
      const failing = await callOk<{ Id: string }>(engine, "POST", `/containers/${id}/exec`, {
        Cmd: ["no-such-program"],
      });
      await callApi(engine, "POST", `/exec/${failing.Id}/start`, { Detach: true });
      await callOk(engine, "POST", "/containers/again/stop?t=0");
    };
    await cycle();
    const before = descriptorKinds(engine.pid());
    for (let round = 0; round < 50; round++) await cycle();
    await until("the engine holds what it held", async () => {
      const now = descriptorKinds(engine.pid());
      return Object.entries(now).every(([kind, count]) => count <= (before[kind] ?? 0));
    });
    await engine.tiffinOk("rm", "-f", id, "again");
    expect(await unownedResources(engine)).toEqual([]);
  }, 120_000);

  test("belongs to one engine: a second one with the same places refuses", async () => {
    const { status, stderr } = await engine.tiffin(["engine"]);
    expect(status).toBe(75);
    expect(stderr).toContain(`another one holds ${engine.root}/engine.lock`);
    await engine.tiffinOk("ps");
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
