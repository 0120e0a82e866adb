/**
 * Kills the engine at each step that volumes take (docs/reference/fault-points.md), starts it again, and looks that nothing
 * is half there: no volume of a container that never was, no half-filled one, no mount that nobody uses, and no loss.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import {
  busyboxTree,
  engineObstacle,
  type EngineFixture,
  openEngineFixture,
  until,
} from "./engine-fixture.ts";
import { unemptiedTrash, unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: faults of volumes: ${engineObstacle}`);

const TIMEOUT_MS = 120_000;
const TMPFS = { type: "tmpfs", device: "tmpfs" };
let engine: EngineFixture;

const call = (method: string, path: string, body?: object) => callApi(engine, method, path, body);
const ok = (method: string, path: string, body?: object) => callOk(engine, method, path, body);
const volumesDirectory = () => join(engine.root, "volumes");
const data = (name: string) => join(volumesDirectory(), name, "_data");
const mounted = (name: string) =>
  readFileSync("/proc/self/mountinfo", "utf8").includes(` ${data(name)} `);

async function names(): Promise<string[]> {
  const { Volumes } = await callOk<{ Volumes: { Name: string }[] }>(engine, "GET", "/volumes");
  return Volumes.map(({ Name }) => Name);
}

async function statusOf(name: string): Promise<string> {
  const { status, json } = await call("GET", `/containers/${name}/json`);
  return status === 404 ? "gone" : (json as { State: { Status: string } }).State.Status;
}

const creation = (more: object = {}) => ({
  Image: "filled",
  Cmd: ["sleep", "1000"],
  HostConfig: { NetworkMode: "none", ...more },
});
const create = (more: object = {}) => call("POST", "/containers/create?name=box", creation(more));
const start = () => call("POST", "/containers/box/start");

/** Runs a verb on an engine that dies at the fault point, and starts the next one. */
async function dieAt(fault: string, verb: () => Promise<unknown>): Promise<void> {
  await engine.killEngine();
  await engine.startEngine({ TIFFIN_FAULT: fault });
  await verb().catch(() => undefined);
  expect(await engine.engineEnded()).toBe("SIGKILL");
  await engine.startEngine();
}

describe.skipIf(engineObstacle !== undefined)("volumes of an engine that is killed at", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    const tree = join(engine.directory, "filled");
    Bun.spawnSync(["cp", "-a", busyboxTree(engine.directory), tree]);
    mkdirSync(join(tree, "data"));
    for (let index = 0; index < 300; index++) writeFileSync(join(tree, `data/f${index}`), "x");
    const archive = join(engine.directory, "filled.tar");
    expect(Bun.spawnSync(["tar", "-C", tree, "-cf", archive, "."]).exitCode).toBe(0);
    await engine.tiffinOk("import", "--change", "VOLUME /data", archive, "filled");
  }, TIMEOUT_MS);

  afterEach(async () => {
    await engine.removeContainers();
    for (const name of await names()) await ok("DELETE", `/volumes/${name}`);
    expect(readdirSync(volumesDirectory())).toEqual([]);
    expect(await unownedResources(engine)).toEqual([]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    expect(await unemptiedTrash(engine)).toEqual([]);
    await engine.close();
  }, TIMEOUT_MS);

  const faultTest = (fault: string, what: string, work: () => Promise<void>) =>
    test(`${fault}: ${what}`, work, TIMEOUT_MS);

  faultTest("volume:directory", "nothing is there, and it can be made", async () => {
    const make = () => call("POST", "/volumes/create", { Name: "data" });
    await dieAt("volume:directory", make);
    expect(await names()).toEqual([]);
    expect(readdirSync(volumesDirectory())).toEqual([]);
    expect((await make()).status).toBe(201);
  });

  faultTest("volume:recorded", "the volume is there", async () => {
    await dieAt("volume:recorded", () => call("POST", "/volumes/create", { Name: "data" }));
    expect(await names()).toEqual(["data"]);
  });

  for (const fault of [
    "volume:directory",
    "volume:recorded",
    "volume:filling",
    "volume:filled",
    "create:volumes",
    "create:directories",
  ]) {
    faultTest(fault, "no container came to be, and none of its volumes", async () => {
      const binds = { Binds: ["named:/home"] };
      await dieAt(fault, () => create(binds));
      expect(await statusOf("box")).toBe("gone");
      expect(await names()).toEqual([]);
      expect(readdirSync(volumesDirectory())).toEqual([]);
      expect((await create(binds)).status).toBe(201);
      const anonymous = (await names()).find((name) => name !== "named") ?? "";
      expect(readdirSync(data(anonymous))).toHaveLength(300);
      expect(readdirSync(data("named"))).toEqual(["ann"]);
    });
  }

  faultTest("volume:filling", "a volume that was there before is there, and empty", async () => {
    await ok("POST", "/volumes/create", { Name: "old" });
    await dieAt("volume:filling", () => create({ Binds: ["old:/data"] }));
    expect(await names()).toEqual(["old"]);
    expect(readdirSync(join(volumesDirectory(), "old"))).toEqual(["_data"]);
    expect(readdirSync(data("old"))).toEqual([]);
    await create({ Binds: ["old:/data"] });
    expect(readdirSync(data("old"))).toHaveLength(300);
  });

  faultTest("create:recorded", "the container has its volumes", async () => {
    await dieAt("create:recorded", () => create());
    expect(await names()).toHaveLength(1);
    await engine.killEngine();
    await engine.startEngine();
    expect(await names()).toHaveLength(1);
    expect((await start()).status).toBe(204);
    expect(await engine.tiffinOk("exec", "box", "ls", "/data/f7")).toBe("/data/f7");
  });

  for (const fault of ["volume:mounted", "start:volumes"]) {
    faultTest(fault, "what was mounted is not, and the container starts", async () => {
      await ok("POST", "/volumes/create", { Name: "memory", DriverOpts: TMPFS });
      await create({ Binds: ["memory:/data"] });
      await dieAt(fault, start);
      expect(await statusOf("box")).toBe("created");
      expect(mounted("memory")).toBe(false);
      expect((await start()).status).toBe(204);
      expect(await engine.tiffinOk("exec", "box", "ls", "/data/f7")).toBe("/data/f7");
      expect(mounted("memory")).toBe(true);
      await ok("DELETE", "/containers/box?force=1");
      expect(mounted("memory")).toBe(false);
    });
  }

  faultTest("start:launched", "the container runs and its volume is mounted", async () => {
    await ok("POST", "/volumes/create", { Name: "memory", DriverOpts: TMPFS });
    await create({ Binds: ["memory:/data"] });
    await dieAt("start:launched", start);
    expect(await statusOf("box")).toBe("running");
    expect(mounted("memory")).toBe(true);
    expect((await call("DELETE", "/volumes/memory")).status).toBe(409);
    await ok("DELETE", "/containers/box?force=1");
    expect(mounted("memory")).toBe(false);
  });

  for (const fault of ["volume:removing", "volume:discarded", "volume:removed"]) {
    faultTest(fault, "the volume is gone", async () => {
      await ok("POST", "/volumes/create", { Name: "data" });
      writeFileSync(join(data("data"), "file"), "x");
      await dieAt(fault, () => call("DELETE", "/volumes/data"));
      expect(await names()).toEqual([]);
      expect(readdirSync(volumesDirectory())).toEqual([]);
    });
  }

  for (const fault of [
    "remove:recorded",
    "remove:discarded",
    "volume:removing",
    "volume:discarded",
    "volume:removed",
    "remove:volumes",
    "remove:deleted",
  ]) {
    faultTest(
      fault,
      "a removal with -v takes the anonymous volume, not the named one",
      async () => {
        await create({ Binds: ["named:/home"] });
        await dieAt(fault, () => call("DELETE", "/containers/box?v=1"));
        expect(await statusOf("box")).toBe("gone");
        expect(await names()).toEqual(["named"]);
      },
    );
  }

  faultTest("remove:recorded", "a removal without -v leaves the anonymous volume", async () => {
    await create();
    await dieAt("remove:recorded", () => call("DELETE", "/containers/box"));
    expect(await statusOf("box")).toBe("gone");
    expect(await names()).toHaveLength(1);
  });

  for (const fault of ["exit:recorded", "exit:released"]) {
    faultTest(fault, "a container with --rm takes its anonymous volume along", async () => {
      await create({ AutoRemove: true, Binds: ["named:/home"] });
      await start();
      await dieAt(fault, () => call("POST", "/containers/box/kill"));
      await until("it is removed", async () => (await statusOf("box")) === "gone");
      expect(await names()).toEqual(["named"]);
    });
  }
});
