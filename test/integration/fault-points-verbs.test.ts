/** The fault points of pause, unpause, restart and rename (docs/reference/fault-points.md), as fault-points.test.ts has those of the rest. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { type ApiAnswer, callApi, callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: fault points of verbs: ${engineObstacle}`);

setDefaultTimeout(60_000);

interface State {
  readonly Status: string;
  readonly Pid: number;
}

let engine: EngineFixture;

async function run(name: string, hostConfig: object = {}): Promise<State> {
  await callOk(engine, "POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: { NetworkMode: "none", ...hostConfig },
  });
  await callOk(engine, "POST", `/containers/${name}/start`);
  return await stateOf(name);
}

async function stateOf(name: string): Promise<State> {
  return (await callOk<{ State: State }>(engine, "GET", `/containers/${name}/json`)).State;
}

/** Calls an engine that dies at the fault point, and starts the next one. Resolves to the answer, if one came. */
async function dieAt(fault: string, path: string): Promise<ApiAnswer | undefined> {
  await engine.killEngine();
  await engine.startEngine({ TIFFIN_FAULT: fault });
  const answer = await callApi(engine, "POST", path).catch(() => undefined);
  expect(await engine.engineEnded()).toBe("SIGKILL");
  await engine.startEngine();
  return answer;
}

describe.skipIf(engineObstacle !== undefined)("an engine that is killed at", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => {
    await engine.removeContainers();
    expect(await unownedResources(engine)).toEqual([]);
  });
  afterAll(async () => await engine.close());

  test("pause:frozen: the container was not paused, and goes on", async () => {
    const { Pid } = await run("box");
    await dieAt("pause:frozen", "/containers/box/pause");
    expect(await stateOf("box")).toMatchObject({ Status: "running", Pid });
    await engine.tiffinOk("exec", "box", "true");
  });

  test("pause:recorded: the container is paused, is known to be, and goes on", async () => {
    const { Pid } = await run("box");
    await dieAt("pause:recorded", "/containers/box/pause");
    expect(await stateOf("box")).toMatchObject({ Status: "paused", Pid });
    await callOk(engine, "POST", "/containers/box/unpause");
    await engine.tiffinOk("exec", "box", "true");
  });

  test("unpause:thawed: the container runs, and is known to", async () => {
    const { Pid } = await run("box");
    await callOk(engine, "POST", "/containers/box/pause");
    await dieAt("unpause:thawed", "/containers/box/unpause");
    expect(await stateOf("box")).toMatchObject({ Status: "running", Pid });
    await engine.tiffinOk("exec", "box", "true");
  });

  for (const fault of [
    "stop:recorded",
    "stop:signalled",
    "exit:recorded",
    "exit:released",
    "restart:stopped",
    "start:launched",
  ]) {
    test(`${fault}: a restart is finished, also with --rm`, async () => {
      for (const AutoRemove of [false, true]) {
        const { Pid } = await run("box", { AutoRemove });
        await dieAt(fault, "/containers/box/restart?t=0");
        await until("it runs again", async () => {
          const { Status, Pid: now } = await stateOf("box");
          return Status === "running" && now !== Pid && now !== 0;
        });
        await engine.tiffinOk("rm", "-f", "box");
      }
    });
  }

  test("rename:recorded: the container has the new name", async () => {
    await run("box");
    await dieAt("rename:recorded", "/containers/box/rename?name=new");
    expect((await callApi(engine, "GET", "/containers/box/json")).status).toBe(404);
    expect((await stateOf("new")).Status).toBe("running");
    await run("box");
  });
});
