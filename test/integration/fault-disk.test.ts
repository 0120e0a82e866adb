/** A disk without space: what needs some says so and leaves nothing, what runs goes on, nothing that was known is lost. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { closeSync, cpSync, openSync, readdirSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type ApiAnswer, callApi, callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: full disk: ${engineObstacle}`);

const TIMEOUT_MS = 90_000;
const DISK_MB = 24;
const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done";

describe.skipIf(engineObstacle !== undefined)("on a full disk", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.stopEngine();
    // The state is on a file system of its own; the run directory is not, as on any host.
    const kept = join(engine.directory, "kept");
    cpSync(engine.root, kept, { recursive: true });
    mount("mount", "-t", "tmpfs", "-o", `size=${DISK_MB}m,mode=711`, "tiffin-small", engine.root);
    cpSync(kept, engine.root, { recursive: true });
    await engine.startEngine();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await engine.removeContainers();
    await engine.stopEngine();
    mount("umount", "-l", engine.root);
    await engine.startEngine();
    await engine.close();
  }, TIMEOUT_MS);

  afterEach(free);

  const ballast = (): string => join(engine.root, "ballast");

  /** Leaves not a byte. */
  function fill(): void {
    const fd = openSync(ballast(), "a");
    try {
      for (const size of [1 << 20, 4096]) {
        const piece = Buffer.alloc(size, "x");
        while (writes(fd, piece));
      }
    } finally {
      closeSync(fd);
    }
  }

  function free(): void {
    rmSync(ballast(), { force: true });
  }

  const call = (method: string, path: string, body?: object | Uint8Array) =>
    callApi(engine, method, path, body);
  const creation = (script: string, autoRemove = false) => ({
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    HostConfig: { NetworkMode: "none", AutoRemove: autoRemove },
  });
  const create = (name: string, script: string, autoRemove = false) =>
    call("POST", `/containers/create?name=${name}`, creation(script, autoRemove));
  const state = async (name: string): Promise<Record<string, unknown> | undefined> => {
    const { json } = await call("GET", `/containers/${name}/json`);
    return (json as { State?: Record<string, unknown> }).State;
  };

  function expectExhausted({ status, json, text }: ApiAnswer): void {
    // An image's answer may have begun: then its last line is the error.
    const told = json ?? JSON.parse(text.trimEnd().split("\n").at(-1) ?? "{}");
    const { message, errorDetail } = told as {
      message?: string;
      errorDetail?: { message?: string };
    };
    expect([200, 503]).toContain(status);
    expect(message ?? errorDetail?.message).toMatch(/no space left/);
  }

  test(
    "create, import and load say so and leave nothing",
    async () => {
      const archive = readFileSync(join(engine.directory, "busybox.tar"));
      fill();
      expectExhausted(await create("more", "true"));
      expectExhausted(await call("POST", "/images/create?fromSrc=-&repo=more", archive));
      expectExhausted(await call("POST", "/images/load", archive));
      free();
      expect(await unownedResources(engine)).toEqual([]);
      await callOk(engine, "POST", "/images/create?fromSrc=-&repo=busybox", archive);
      expect((await create("more", "true")).status).toBe(201);
      await callOk(engine, "DELETE", "/containers/more");
    },
    TIMEOUT_MS,
  );

  test(
    "a volume that cannot be filled is not made, and one that was there stays empty",
    async () => {
      const bound = (name: string) => ({
        ...creation("true"),
        HostConfig: { NetworkMode: "none", Binds: [`${name}:/bin`] },
      });
      await callOk(engine, "POST", "/volumes/create", { Name: "old" });
      fill();
      expectExhausted(await call("POST", "/containers/create", bound("new")));
      expectExhausted(await call("POST", "/containers/create", bound("old")));
      free();
      const { Volumes } = await callOk<{ Volumes: { Name: string; Mountpoint: string }[] }>(
        engine,
        "GET",
        "/volumes",
      );
      expect(Volumes.map(({ Name }) => Name)).toEqual(["old"]);
      const [old] = Volumes;
      expect(readdirSync(old?.Mountpoint ?? "")).toEqual([]);
      expect(readdirSync(join(old?.Mountpoint ?? "", ".."))).toEqual(["_data"]);
      expect((await call("POST", "/containers/create?name=more", bound("old"))).status).toBe(201);
      expect(readdirSync(old?.Mountpoint ?? "")).toContain("busybox");
      await callOk(engine, "DELETE", "/containers/more");
      await callOk(engine, "DELETE", "/volumes/old");
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "a container goes on, and its log too once there is space, line by line",
    async () => {
      const id = await engine.tiffinOk(
        "run",
        "-d",
        "--name",
        "counter",
        "busybox",
        "sh",
        "-c",
        COUNTER,
      );
      const log = () => readFileSync(join(engine.root, "containers", id, "logs/log"), "utf8");
      await until("there is a log", () => log().length > 1000);
      fill();
      const client = engine.startClient("tiffin", ["attach", "counter"]);
      await client.seen(/^\d+$/m);
      const first = Number(/^(\d+)$/m.exec(client.stdout())?.[1]);
      await client.seen(new RegExp(`^${first + 200}$`, "m"));
      free();
      const before = log().length;
      await until("the log goes on", () => log().length > before + 1000);
      await engine.tiffinOk("stop", "-t", "0", "counter");
      await client.ended;
      const lines = log().trimEnd().split("\n");
      const torn = lines.filter((line) => !/^\d{4}-\d\d-\d\dT\S+Z stdout F \d+$/.test(line));
      expect(torn).toEqual([]);
      await engine.tiffinOk("rm", "counter");
    },
    TIMEOUT_MS,
  );

  test(
    "an end is known, and a container that is removed gives its space back",
    async () => {
      const body = creation(
        "head -c 4000000 /dev/zero > /big; while [ -d /etc ]; do sleep 0.05; done; exit 4",
      );
      await callOk(engine, "POST", "/containers/create?name=ends", body);
      await callOk(engine, "POST", "/containers/ends/start");
      await engine.tiffinOk("run", "-d", "--rm", "--name", "ends-rm", "busybox", "sleep", "1000");
      const wait = call("POST", "/containers/ends/wait");
      fill();
      await callOk(engine, "POST", "/containers/ends/kill?signal=KILL");
      await call("POST", "/containers/ends-rm/kill");
      expect((await wait).json).toMatchObject({ StatusCode: 137 });
      expect(await state("ends")).toMatchObject({ Status: "exited", ExitCode: 137 });
      await callOk(engine, "DELETE", "/containers/ends");
      await until("ends-rm is removed", async () => (await state("ends-rm")) === undefined);
      free();
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "health is looked at, a restart is lost to nothing, and a stop stays one",
    async () => {
      const check = { Test: ["CMD", "test", "-d", "/etc"], Interval: 300_000_000, Retries: 1 };
      for (const name of ["again", "stopped"]) {
        const { HostConfig, ...body } = creation("while [ -d /etc ]; do sleep 0.05; done; exit 4");
        const policy = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 100 } };
        await callOk(engine, "POST", `/containers/create?name=${name}`, {
          ...body,
          Healthcheck: check,
          HostConfig: { ...HostConfig, ...policy },
        });
        await callOk(engine, "POST", `/containers/${name}/start`);
      }
      const isHealthy = async () => {
        const health = (await state("again"))?.["Health"] as { Status?: string } | undefined;
        return health?.Status === "healthy";
      };
      await until("it is healthy", isHealthy);
      fill();
      const { Pid } = (await state("again")) as { Pid: number };
      await callOk(engine, "POST", "/containers/stopped/stop?t=0");
      process.kill(Pid, "SIGKILL");
      await until("its end is known", async () => (await state("again"))?.["Pid"] !== Pid);
      await Bun.sleep(500);
      free();
      await until("it runs, and is healthy", async () => {
        return (await state("again"))?.["Status"] === "running" && (await isHealthy());
      });
      expect(await state("stopped")).toMatchObject({ Status: "exited", ExitCode: 137 });
      for (const name of ["again", "stopped"]) {
        await callOk(engine, "DELETE", `/containers/${name}?force=1`);
      }
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "an engine that is killed is followed by one that knows all, once there is space",
    async () => {
      await engine.tiffinOk("run", "-d", "--name", "stays", "busybox", "sh", "-c", COUNTER);
      const before = await state("stays");
      fill();
      await engine.killEngine();
      await engine.startEngine();
      expect(await state("stays")).toEqual(before ?? {});
      free();
      await engine.tiffinOk("exec", "stays", "true");
      await engine.tiffinOk("rm", "-f", "stays");
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );
});

function writes(fd: number, piece: Buffer): boolean {
  try {
    return writeSync(fd, piece) > 0;
  } catch {
    // No space for a piece of this size.
    return false;
  }
}

function mount(...words: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(words);
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: "" });
}
