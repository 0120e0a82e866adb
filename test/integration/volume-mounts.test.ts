/** What volumes and binds mount: file systems by driver options, counted over ends of the engine; submounts; propagation. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callOk } from "./engine-api.ts";
import { isCurrentDocker } from "./docker-client.ts";
import { engineObstacle, type EngineFixture, openEngineFixture } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: mounts of volumes: ${engineObstacle}`);

const TIMEOUT_MS = 120_000;
const TMPFS = ["-o", "type=tmpfs", "-o", "device=tmpfs"];
let engine: EngineFixture;

const data = (name: string) => join(engine.root, "volumes", name, "_data");
const mounted = (name: string) =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.split(" ")[4] === data(name)).length;
const tiffin = (...args: string[]) => engine.tiffinOk(...args);
const run = (...args: string[]) => tiffin("run", "--rm", "--network", "none", ...args);
const start = (name: string, ...args: string[]) =>
  tiffin("run", "-d", "--network", "none", "--name", name, ...args, "busybox", "sleep", "1000");
const makeVolume = (name: string, ...options: string[]) =>
  tiffin("volume", "create", ...options, name);

async function restartEngine(): Promise<void> {
  await engine.killEngine();
  await engine.startEngine();
}

/** A directory of the host with a tmpfs mounted in it, for the time of `use`. */
async function withSubmount(use: (directory: string) => Promise<void>): Promise<void> {
  const directory = join(engine.directory, "tree");
  const below = join(directory, "below");
  mkdirSync(below, { recursive: true });
  expect(Bun.spawnSync(["mount", "-t", "tmpfs", "tiffin-test", below]).exitCode).toBe(0);
  try {
    writeFileSync(join(below, "file"), "below");
    await use(directory);
  } finally {
    Bun.spawnSync(["umount", "-l", below]);
  }
}

describe.skipIf(engineObstacle !== undefined)("volumes with options", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterEach(async () => {
    await engine.removeContainers();
    const left = (await tiffin("volume", "ls", "-q")).split("\n").filter(Boolean);
    if (left.length > 0) await tiffin("volume", "rm", ...left);
    expect(readdirSync(join(engine.root, "volumes"))).toEqual([]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await engine.close();
  }, TIMEOUT_MS);

  const it = (name: string, work: () => Promise<void>) => test(name, work, TIMEOUT_MS);

  it("are mounted for the first container, shared, and unmounted after the last", async () => {
    await makeVolume("memory", ...TMPFS, "-o", "o=size=1m,uid=1000,mode=711");
    expect(mounted("memory")).toBe(0);
    await start("one", "-v", "memory:/m");
    await start("two", "-v", "memory:/m:ro");
    expect(mounted("memory")).toBe(1);
    await tiffin("exec", "one", "sh", "-c", "echo hello > /m/file");
    expect(await tiffin("exec", "two", "cat", "/m/file")).toBe("hello");
    expect(await tiffin("exec", "one", "stat", "-c", "%u %a", "/m")).toBe("1000 711");
    expect(readFileSync(join(data("memory"), "file"), "utf8")).toBe("hello\n");
    await tiffin("rm", "-f", "one");
    expect(mounted("memory")).toBe(1);
    await tiffin("stop", "-t", "0", "two");
    expect(mounted("memory")).toBe(0);
    await tiffin("start", "two");
    expect(await tiffin("exec", "two", "ls", "/m")).toBe("");
  });

  it("are counted right over engines that are killed", async () => {
    await makeVolume("memory", ...TMPFS);
    await start("one", "-v", "memory:/m");
    await start("two", "-v", "memory:/m");
    await tiffin("exec", "one", "touch", "/m/file");
    await restartEngine();
    expect(mounted("memory")).toBe(1);
    expect(await tiffin("system", "check")).toBe("Everything is where it should be");
    await tiffin("rm", "-f", "one");
    await restartEngine();
    expect(mounted("memory")).toBe(1);
    await start("three", "-v", "memory:/m");
    expect(await tiffin("exec", "three", "ls", "/m")).toBe("file");
    await tiffin("rm", "-f", "two", "three");
    expect(mounted("memory")).toBe(0);
  });

  it("are unmounted by the next engine when their containers ended meanwhile", async () => {
    await makeVolume("memory", ...TMPFS);
    await start("one", "-v", "memory:/m");
    const { State } = await callOk<{ State: { Pid: number } }>(
      engine,
      "GET",
      "/containers/one/json",
    );
    await engine.killEngine();
    process.kill(State.Pid, "SIGKILL");
    await engine.startEngine();
    expect(await tiffin("wait", "one")).toBe("137");
    expect(mounted("memory")).toBe(0);
  });

  it("are told of by system check, and unmounted, when no container has them", async () => {
    await makeVolume("memory", ...TMPFS);
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "tiffin-test", data("memory")]).exitCode).toBe(0);
    const { stdout } = await engine.tiffin(["system", "check"]);
    expect(stdout).toMatch(/volume +memory +it is mounted and no running container has it/);
    await tiffin("system", "check", "--repair");
    expect(mounted("memory")).toBe(0);
  });

  it("can be made by --mount, and are filled at the first start", async () => {
    const mount = "type=volume,src=memory,dst=/home,volume-opt=type=tmpfs,volume-opt=device=tmpfs";
    await tiffin("create", "--name", "one", "--mount", mount, "busybox", "ls", "/home");
    expect(mounted("memory")).toBe(0);
    for (const _ of [1, 2]) expect(await tiffin("start", "-a", "one")).toBe("ann");
    const inspected = await tiffin("volume", "inspect", "memory", "-f", "{{json .Options}}");
    expect(JSON.parse(inspected)).toEqual({ type: "tmpfs", device: "tmpfs" });
  });

  it("may be a directory of the host, of which ids show as they are, and which outlives them", async () => {
    const directory = join(engine.directory, "shared");
    mkdirSync(directory);
    chownSync(directory, 1000, 1000);
    await makeVolume("host", "-o", "type=none", "-o", "o=bind", "-o", `device=${directory}`);
    await run("-u", "ann", "-v", "host:/h", "busybox", "sh", "-c", "echo x > /h/file");
    expect(statSync(join(directory, "file"))).toMatchObject({ uid: 1000 });
    await makeVolume("readonly", "-o", "type=none", "-o", "o=bind,ro", "-o", `device=${directory}`);
    const args = ["run", "--rm", "--network", "none", "-v", "readonly:/h", "busybox"];
    const { status, stderr } = await engine.docker([...args, "touch", "/h/x"]);
    expect(status).toBe(1);
    expect(stderr).toContain("Read-only file system");
    await tiffin("volume", "rm", "host", "readonly");
    expect(readdirSync(directory)).toEqual(["file"]);
  });

  it("that cannot be mounted say so, hide passwords, and leave nothing", async () => {
    const device = ["-o", "type=nosuchtype", "-o", "device=/nothing"];
    await makeVolume("bad", ...device, "-o", "o=username=u,password=secret,vers=3");
    const args = ["run", "--rm", "--network", "none", "-v", "bad:/x", "busybox", "true"];
    const { status, stderr } = await engine.tiffin(args);
    expect(status).toBe(125);
    expect(stderr).toMatch(/failed to mount local volume: mount \/nothing, type: nosuchtype/);
    expect(stderr).not.toContain("secret");
    expect(await tiffin("ps", "-aq")).toBe("");
    expect(mounted("bad")).toBe(0);
  });

  it("let no volume go in which something else is mounted", async () => {
    await makeVolume("plain");
    expect(Bun.spawnSync(["mount", "-t", "tmpfs", "tiffin-test", data("plain")]).exitCode).toBe(0);
    const { status, stderr } = await engine.tiffin(["volume", "rm", "plain"]);
    Bun.spawnSync(["umount", data("plain")]);
    expect({ status, stderr }).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("something is mounted at"),
    });
  });
});

describe.skipIf(engineObstacle !== undefined)("a bind of a directory with a mount below", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterAll(async () => {
    await engine.close();
  }, TIMEOUT_MS);

  const it = (name: string, work: () => Promise<void>) => test(name, work, TIMEOUT_MS);
  const bound = (directory: string, options: string, script: string) =>
    engine.tiffin([
      "run",
      "--rm",
      "--network=none",
      `--mount=type=bind,src=${directory},dst=/b${options}`,
      "busybox",
      "sh",
      "-c",
      script,
    ]);

  it("takes it along, read-only when the bind is, unless it is told otherwise", async () => {
    await withSubmount(async (directory) => {
      const write = "cat /b/below/file; touch /b/below/x 2>/dev/null; echo $?";
      const outputs: Record<string, string> = {};
      for (const options of [
        "",
        ",bind-nonrecursive",
        ",bind-recursive=disabled",
        ",readonly",
        ",readonly,bind-recursive=writable",
        ",readonly,bind-recursive=readonly,bind-propagation=rprivate",
      ]) {
        outputs[options] = (await bound(directory, options, write)).stdout;
      }
      expect(outputs).toEqual({
        "": "below0\n",
        ",bind-nonrecursive": "0\n",
        ",bind-recursive=disabled": "0\n",
        ",readonly": "below1\n",
        ",readonly,bind-recursive=writable": "below0\n",
        ",readonly,bind-recursive=readonly,bind-propagation=rprivate": "below1\n",
      });
    });
  });

  it("shows its options in an inspect, so that they can be sent again", async () => {
    const mount = `type=bind,src=${engine.directory},dst=/b,readonly,bind-recursive=writable`;
    const make = ["create", "--name", "shown", "--mount", mount, "busybox", "true"];
    if (isCurrentDocker("--mount with bind-recursive")) await engine.dockerOk(...make);
    else await engine.tiffinOk(...make);
    const text = await engine.tiffinOk("inspect", "shown", "-f", "{{json .HostConfig.Mounts}}");
    expect(JSON.parse(text)).toEqual([
      {
        Type: "bind",
        Source: engine.directory,
        Target: "/b",
        ReadOnly: true,
        BindOptions: { ReadOnlyNonRecursive: true },
      },
    ]);
    await engine.tiffinOk("rm", "shown");
  });

  it("lets mounts through as its propagation says", async () => {
    await withSubmount(async (directory) => {
      // A mount of its own, shared: what is mounted in it later reaches its slaves.
      Bun.spawnSync(["mount", "--bind", directory, directory]);
      Bun.spawnSync(["mount", "--make-shared", directory]);
      try {
        mkdirSync(join(directory, "late"), { recursive: true });
        const args = ["run", "-d", "--network", "none", "--name", "slave"];
        const binds = ["-v", `${directory}:/slave:rslave`, "-v", `${directory}:/private`];
        await engine.tiffinOk(...args, ...binds, "busybox", "sleep", "1000");
        const late = join(directory, "late");
        Bun.spawnSync(["mount", "-t", "tmpfs", "tiffin-test", late]);
        writeFileSync(join(late, "seen"), "");
        const listed = await engine.tiffinOk("exec", "slave", "ls", "/private/late", "/slave/late");
        expect(listed).toBe("/private/late:\n\n/slave/late:\nseen");
        Bun.spawnSync(["umount", "-l", late]);
      } finally {
        await engine.removeContainers();
        Bun.spawnSync(["umount", "-l", directory]);
      }
    });
  });

  it("makes the source when it is told to, and refuses a create that lacks it", async () => {
    const missing = join(engine.directory, "missing");
    const args = ["create", "--mount", `type=bind,src=${missing},dst=/b`, "busybox", "true"];
    for (const client of [engine.tiffin, engine.docker]) {
      const { status, stderr } = await client(args);
      expect(status).not.toBe(0);
      expect(stderr).toContain(`bind source path does not exist: ${missing}`);
    }
    expect(await engine.tiffinOk("ps", "-aq")).toBe("");
    const { status } = await bound(missing, ",bind-create-src", "touch /b/x");
    expect(status).toBe(0);
    expect(readdirSync(missing)).toEqual(["x"]);
  });
});
