/**
 * Kills the engine at each step of each verb (docs/reference/fault-points.md), starts it again, and looks whether anything
 * was lost or left: containers go on, ends are known, half-made things are gone, the same verb succeeds.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { unemptiedTrash, unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: fault points: ${engineObstacle}`);

const TIMEOUT_MS = 60_000;
const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done";
const ENDS_ON_TERM = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done";

interface Inspected {
  readonly Id: string;
  readonly State: {
    readonly Status: string;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
  };
  readonly LogPath: string;
}

interface Config {
  readonly script?: string;
  readonly autoRemove?: boolean;
}

let engine: EngineFixture;
let witness: Inspected;

const call = (method: string, path: string, body?: object | Uint8Array) =>
  callApi(engine, method, path, body);

async function inspect(name: string): Promise<Inspected | undefined> {
  const { status, json } = await call("GET", `/containers/${name}/json`);
  return status === 404 ? undefined : (json as Inspected);
}

async function statusOf(name: string): Promise<string> {
  return (await inspect(name))?.State.Status ?? "gone";
}

function creation({ script = "sleep 1000", autoRemove = false }: Config): object {
  return {
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    HostConfig: { NetworkMode: "none", AutoRemove: autoRemove },
  };
}

async function create(name: string, config: Config = {}): Promise<void> {
  await callOk(engine, "POST", `/containers/create?name=${name}`, creation(config));
}

async function run(name: string, config: Config = {}): Promise<Inspected> {
  await create(name, config);
  await callOk(engine, "POST", `/containers/${name}/start`);
  return (await inspect(name)) as Inspected;
}

const remove = (name: string) => callOk(engine, "DELETE", `/containers/${name}?force=1`);
const logged = (path: string) => readFileSync(path, "utf8");
const running = async (name: string) => {
  await until(`${name} says that it is up`, async () => {
    const container = await inspect(name);
    return container !== undefined && / F up$/m.test(logged(container.LogPath));
  });
};

/** Runs a verb on an engine that dies at the fault point, and starts the next one. Resolves to the answer, if one came. */
async function dieAt(fault: string, verb: () => Promise<{ status: number }>): Promise<number> {
  await engine.killEngine();
  await engine.startEngine({ TIFFIN_FAULT: fault });
  const answer = await verb().catch(() => ({ status: 0 }));
  expect(await engine.engineEnded()).toBe("SIGKILL");
  await engine.startEngine();
  return answer.status;
}

/** The container that runs all the while: the same process, and each of its lines once in the log. */
async function expectUndisturbed(): Promise<void> {
  const now = (await inspect("witness")) as Inspected;
  expect(now.State).toMatchObject({ Status: "running", Pid: witness.State.Pid });
  expect(now.State.StartedAt).toBe(witness.State.StartedAt);
  const lines = logged(witness.LogPath).trimEnd().split("\n");
  const numbers = lines.map((line) => Number(line.split(" F ")[1]));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  const last = numbers.length;
  await until("the log goes on", () => logged(witness.LogPath).trimEnd().split("\n").length > last);
  expect(await unownedResources(engine)).toEqual([]);
}

function faultTest(fault: string, what: string, work: () => Promise<void>): void {
  test(
    `${fault}: ${what}`,
    async () => {
      await work();
      await expectUndisturbed();
    },
    TIMEOUT_MS,
  );
}

describe.skipIf(engineObstacle !== undefined)("an engine that is killed at", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    witness = await run("witness", { script: COUNTER });
  }, TIMEOUT_MS);

  afterAll(async () => {
    expect(await unemptiedTrash(engine)).toEqual([]);
    await engine.close();
  }, TIMEOUT_MS);

  faultTest("create:directories", "the half-made container is gone", async () => {
    const verb = () => call("POST", "/containers/create?name=new", creation({}));
    expect(await dieAt("create:directories", verb)).toBe(0);
    expect(await statusOf("new")).toBe("gone");
    await run("new");
    await remove("new");
  });

  faultTest("create:recorded", "the container is there and whole", async () => {
    const verb = () => call("POST", "/containers/create?name=new", creation({}));
    await dieAt("create:recorded", verb);
    expect(await statusOf("new")).toBe("created");
    await callOk(engine, "POST", "/containers/new/start");
    await remove("new");
  });

  for (const fault of ["start:begun", "start:directory"]) {
    faultTest(fault, "the container never ran, and starts", async () => {
      await create("box");
      await dieAt(fault, () => call("POST", "/containers/box/start"));
      expect(await statusOf("box")).toBe("created");
      await callOk(engine, "POST", "/containers/box/start");
      expect(await statusOf("box")).toBe("running");
      await remove("box");
    });
  }

  for (const fault of ["start:launched", "start:running"]) {
    faultTest(fault, "the container runs, and is known to", async () => {
      await create("box", { script: ENDS_ON_TERM });
      await dieAt(fault, () => call("POST", "/containers/box/start"));
      const { State } = (await inspect("box")) as Inspected;
      expect(State).toMatchObject({ Status: "running", Error: "" });
      expect(Math.abs(Date.now() - Date.parse(State.StartedAt))).toBeLessThan(3_600_000);
      expect((await call("POST", "/containers/box/start")).status).toBe(304);
      await running("box");
      const wait = callOk(engine, "POST", "/containers/box/wait");
      await callOk(engine, "POST", "/containers/box/stop");
      expect(await wait).toMatchObject({ StatusCode: 7 });
      await remove("box");
    });
  }

  faultTest(
    "start:launched",
    "the end of a container that nobody knew to run is recorded",
    async () => {
      await create("box", { script: "exit 9" });
      await create("box-rm", { script: "exit 9", autoRemove: true });
      for (const name of ["box", "box-rm"]) {
        await dieAt("start:launched", () => call("POST", `/containers/${name}/start`));
      }
      await until("it has ended", async () => (await statusOf("box")) === "exited");
      const { State } = (await inspect("box")) as Inspected;
      expect(State).toMatchObject({ ExitCode: 9, Error: "" });
      expect(Date.parse(State.StartedAt)).toBeGreaterThan(Date.now() - 3_600_000);
      await until("it is removed", async () => (await statusOf("box-rm")) === "gone");
      await callOk(engine, "POST", "/containers/box/start");
      await remove("box");
    },
  );

  for (const fault of ["exec:created", "exec:begun", "exec:directory"]) {
    faultTest(fault, "nothing ran, and an exec runs after", async () => {
      const execute = async () => {
        const body = { Cmd: ["touch", `/${fault}`] };
        const { Id } = await callOk<{ Id: string }>(engine, "POST", "/containers/box/exec", body);
        return await call("POST", `/exec/${Id}/start`, { Detach: true });
      };
      await run("box");
      await dieAt(fault, execute);
      expect((await engine.tiffin(["exec", "box", "ls", `/${fault}`])).status).toBe(1);
      await engine.tiffinOk("exec", "box", "true");
      await remove("box");
    });
  }

  for (const fault of ["exec:launched", "exec:running"]) {
    faultTest(fault, "the exec goes on, and its end becomes known", async () => {
      await run("box");
      const body = { Cmd: ["sh", "-c", "while ! [ -e /end ]; do sleep 0.05; done; exit 6"] };
      const { Id } = await callOk<{ Id: string }>(engine, "POST", "/containers/box/exec", body);
      const state = () =>
        callOk<{ Running: boolean; ExitCode: number | null; Pid: number }>(
          engine,
          "GET",
          `/exec/${Id}/json`,
        );
      await dieAt(fault, () => call("POST", `/exec/${Id}/start`, { Detach: true }));
      const { Running, Pid } = await state();
      expect(Running).toBe(true);
      expect(readFileSync(`/proc/${Pid}/cmdline`, "utf8")).toContain("/end");
      await engine.tiffinOk("exec", "box", "touch", "/end");
      await until("the exec has ended", async () => !(await state()).Running);
      expect((await state()).ExitCode).toBe(6);
      await remove("box");
    });
  }

  faultTest("exec:recorded", "its end is known", async () => {
    await run("box");
    const body = { Cmd: ["sh", "-c", "exit 6"] };
    await engine.killEngine();
    await engine.startEngine({ TIFFIN_FAULT: "exec:recorded" });
    const { Id } = await callOk<{ Id: string }>(engine, "POST", "/containers/box/exec", body);
    await call("POST", `/exec/${Id}/start`, { Detach: true }).catch(() => undefined);
    expect(await engine.engineEnded()).toBe("SIGKILL");
    await engine.startEngine();
    expect(await callOk(engine, "GET", `/exec/${Id}/json`)).toMatchObject({
      Running: false,
      ExitCode: 6,
    });
    await remove("box");
  });

  faultTest(
    "stop:signalled",
    "the container ends as it was asked to, and its status is known",
    async () => {
      await run("box", { script: ENDS_ON_TERM });
      await running("box");
      await dieAt("stop:signalled", () => call("POST", "/containers/box/stop"));
      expect(await callOk(engine, "POST", "/containers/box/wait")).toMatchObject({ StatusCode: 7 });
      expect((await call("POST", "/containers/box/stop")).status).toBe(304);
      await callOk(engine, "POST", "/containers/box/start");
      await remove("box");
    },
  );

  faultTest("stop:killed", "a container that did not heed the signal is dead", async () => {
    await run("box", { script: "trap '' TERM; echo up; while :; do sleep 0.05; done" });
    await running("box");
    await dieAt("stop:killed", () => call("POST", "/containers/box/stop?t=0"));
    expect(await callOk(engine, "POST", "/containers/box/wait")).toMatchObject({ StatusCode: 137 });
    await remove("box");
  });

  faultTest("kill:signalled", "the signal arrived", async () => {
    await run("box");
    await dieAt("kill:signalled", () => call("POST", "/containers/box/kill"));
    expect(await callOk(engine, "POST", "/containers/box/wait")).toMatchObject({ StatusCode: 137 });
    expect((await inspect("box"))?.State.Error).toBe("");
    await remove("box");
  });

  for (const fault of ["exit:recorded", "exit:released"]) {
    faultTest(fault, "the end is known, and --rm removes", async () => {
      await run("box", { script: ENDS_ON_TERM });
      await run("box-rm", { script: ENDS_ON_TERM, autoRemove: true });
      for (const name of ["box", "box-rm"]) {
        await running(name);
        await dieAt(fault, () => call("POST", `/containers/${name}/stop`));
      }
      const { State } = (await inspect("box")) as Inspected;
      expect(State).toMatchObject({ Status: "exited", ExitCode: 7, Pid: 0, Error: "" });
      await until("it is removed", async () => (await statusOf("box-rm")) === "gone");
      await callOk(engine, "POST", "/containers/box/start");
      await remove("box");
    });
  }

  test(
    "no point, while containers end: their statuses are known, and --rm removes",
    async () => {
      await run("box", { script: "echo up; sleep 1; exit 8" });
      await run("box-rm", { script: "echo up; sleep 1; exit 8", autoRemove: true });
      const { Pid: pid } = (await inspect("box-rm"))?.State ?? { Pid: 0 };
      await engine.killEngine();
      await until("both have ended", () => !isAlive(pid));
      await engine.startEngine();
      await until("the end is known", async () => (await statusOf("box")) === "exited");
      const { State } = (await inspect("box")) as Inspected;
      expect(State).toMatchObject({ ExitCode: 8, Error: "" });
      await until("it is removed", async () => (await statusOf("box-rm")) === "gone");
      await remove("box");
      await expectUndisturbed();
    },
    TIMEOUT_MS,
  );

  for (const fault of ["remove:recorded", "remove:discarded", "remove:deleted"]) {
    faultTest(fault, "the container is gone, and its name is free", async () => {
      await create("box");
      await dieAt(fault, () => call("DELETE", "/containers/box"));
      expect(await statusOf("box")).toBe("gone");
      await create("box");
      await remove("box");
    });
  }

  faultTest("remove:killed", "a running container is dead, and can be removed", async () => {
    await run("box");
    await dieAt("remove:killed", () => call("DELETE", "/containers/box?force=1"));
    expect(await callOk(engine, "POST", "/containers/box/wait")).toMatchObject({ StatusCode: 137 });
    await remove("box");
    expect(await statusOf("box")).toBe("gone");
  });

  describe("an image's step:", () => {
    const images = async (): Promise<string[]> => {
      const list = await callOk<{ RepoTags: string[] | null }[]>(engine, "GET", "/images/json");
      return list.flatMap(({ RepoTags }) => RepoTags ?? ["<none>:<none>"]).sort();
    };
    const archive = () => readFileSync(join(engine.directory, "small.tar"));
    const saved = () => readFileSync(join(engine.directory, "saved.tar"));
    const importIt = () => call("POST", "/images/create?fromSrc=-&repo=small", archive());
    const loadIt = () => call("POST", "/images/load", saved());
    const drop = (name: string) => callOk(engine, "DELETE", `/images/${name}`);
    const works = async (name: string) =>
      expect(await engine.tiffinOk("run", "--rm", "--network", "none", name, "echo", "ok")).toBe(
        "ok",
      );

    beforeAll(async () => {
      const script = `cd ${engine.directory} && mkdir -p small/bin &&
        cp busybox/bin/busybox small/bin/ && ln -sf busybox small/bin/echo &&
        tar -C small -cf small.tar . && cd ${engine.directory}`;
      Bun.spawnSync(["sh", "-c", script]);
      await makeDockerArchive(engine.directory);
    });

    for (const fault of ["layer:unpacked", "import:unpacked", "image:unpacked", "image:stored"]) {
      faultTest(fault, "a half-imported image is gone, and comes again", async () => {
        await dieAt(fault, importIt);
        expect(await images()).toEqual(["busybox:latest"]);
        expect(await unownedResources(engine)).toEqual([]);
        await callOk(engine, "POST", "/images/create?fromSrc=-&repo=small", archive());
        await works("small");
        await drop("small");
      });
    }

    for (const fault of ["commit:frozen", "layer:unpacked", "commit:unpacked", "image:stored"]) {
      faultTest(fault, "a half-made commit is gone, and its container goes on", async () => {
        await create("committed", { script: COUNTER });
        await callOk(engine, "POST", "/containers/committed/start");
        await callOk(engine, "PUT", "/containers/committed/archive?path=/tmp", archive());
        const commit = () => call("POST", "/commit?container=committed&repo=made");
        await dieAt(fault, commit);
        expect(await images()).toEqual(["busybox:latest"]);
        expect(await unownedResources(engine)).toEqual([]);
        expect(await statusOf("committed")).toBe("running");
        const { LogPath } = (await inspect("committed")) as Inspected;
        const written = logged(LogPath).length;
        await until("it goes on", () => logged(LogPath).length > written);
        expect((await commit()).status).toBe(201);
        await callOk(engine, "DELETE", "/containers/committed?force=1");
        await drop("made");
      });
    }

    faultTest("commit:recorded", "the image is there", async () => {
      await create("committed");
      await callOk(engine, "PUT", "/containers/committed/archive?path=/tmp", archive());
      await dieAt("commit:recorded", () => call("POST", "/commit?container=committed&repo=made"));
      await callOk(engine, "DELETE", "/containers/committed?force=1");
      await works("made");
      await drop("made");
    });

    for (const fault of ["layer:unpacked", "image:unpacked", "image:stored"]) {
      faultTest(fault, "a half-loaded image is gone, and comes again", async () => {
        await dieAt(fault, loadIt);
        expect(await images()).toEqual(["busybox:latest"]);
        expect(await unownedResources(engine)).toEqual([]);
        await callOk(engine, "POST", "/images/load", saved());
        await works("saved:1");
        await drop("saved:1");
      });
    }

    faultTest("image:committed", "the image is there", async () => {
      await dieAt("image:committed", loadIt);
      await works("saved:1");
      await drop("saved:1");
    });

    faultTest("image:tagged", "the tag is there", async () => {
      await dieAt("image:tagged", () => call("POST", "/images/busybox/tag?repo=other&tag=1"));
      expect(await images()).toEqual(["busybox:latest", "other:1"]);
      await drop("other:1");
    });

    for (const fault of ["image:untagged", "layer:removed"]) {
      faultTest(fault, "the image is gone with its files", async () => {
        await callOk(engine, "POST", "/images/load", saved());
        await dieAt(fault, () => call("DELETE", "/images/saved:1"));
        expect(await images()).toEqual(["busybox:latest"]);
        expect(await unownedResources(engine)).toEqual([]);
        await callOk(engine, "POST", "/images/load", saved());
        await works("saved:1");
        await drop("saved:1");
      });
    }
  });
});

/** What `docker save` writes for an image of one layer. */
async function makeDockerArchive(directory: string): Promise<void> {
  const layer = readFileSync(join(directory, "small.tar"));
  const diffId = `sha256:${new Bun.CryptoHasher("sha256").update(layer).digest("hex")}`;
  const config = JSON.stringify({
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const hex = new Bun.CryptoHasher("sha256").update(config).digest("hex");
  const manifest = [{ Config: `${hex}.json`, RepoTags: ["saved:1"], Layers: ["layer.tar"] }];
  const at = join(directory, "archive");
  await Bun.write(join(at, "layer.tar"), layer);
  await Bun.write(join(at, `${hex}.json`), config);
  await Bun.write(join(at, "manifest.json"), JSON.stringify(manifest));
  Bun.spawnSync(["tar", "-C", at, "-cf", join(directory, "saved.tar"), "."]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
