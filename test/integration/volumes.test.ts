/** Volumes with a real kernel, by tiffin, docker's client and the API. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { callApi, callOk } from "./engine-api.ts";
import { isCurrentDocker } from "./docker-client.ts";
import {
  busyboxTree,
  engineObstacle,
  type EngineFixture,
  openEngineFixture,
} from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: volumes: ${engineObstacle}`);

const TIMEOUT_MS = 120_000;
let engine: EngineFixture;

const data = (name: string, ...path: string[]) =>
  join(engine.root, "volumes", name, "_data", ...path);
const names = async () => (await engine.tiffinOk("volume", "ls", "-q")).split("\n").filter(Boolean);
const run = (...args: string[]) => engine.tiffinOk("run", "--rm", "--network", "none", ...args);
const failing = async (...args: string[]) => {
  const { status, stderr } = await engine.tiffin(["run", "--rm", "--network", "none", ...args]);
  return { status, stderr };
};
const start = (name: string, ...args: string[]) =>
  engine.tiffinOk("run", "-d", "--network", "none", "--name", name, ...args);

interface MountPoint {
  readonly Type: string;
  readonly Name: string;
  readonly Source: string;
  readonly Destination: string;
  readonly RW: boolean;
}

async function mountsOf(name: string): Promise<MountPoint[]> {
  const { Mounts } = await callOk<{ Mounts: MountPoint[] }>(
    engine,
    "GET",
    `/containers/${name}/json`,
  );
  return Mounts;
}

/** An image with content at its volume, and with traps. */
async function importImage(): Promise<void> {
  const tree = join(engine.directory, "image");
  Bun.spawnSync(["cp", "-a", busyboxTree(engine.directory), tree]);
  mkdirSync(join(tree, "data/sub"), { recursive: true });
  writeFileSync(join(tree, "data/file"), "from the image\n");
  chownSync(join(tree, "data/file"), 1000, 50);
  chmodSync(join(tree, "data/file"), 0o4755);
  linkSync(join(tree, "data/file"), join(tree, "data/sub/hard"));
  symlinkSync("file", join(tree, "data/soft"));
  symlinkSync("/etc/passwd", join(tree, "data/outward"));
  chownSync(join(tree, "data"), 999, 44);
  chmodSync(join(tree, "data"), 0o750);
  symlinkSync("/../../../../home", join(tree, "absolute"));
  symlinkSync("../../../../../../../../home", join(tree, "upwards"));
  symlinkSync("circle", join(tree, "circle"));
  const archive = join(engine.directory, "image.tar");
  expect(Bun.spawnSync(["tar", "-C", tree, "-cf", archive, "."]).exitCode).toBe(0);
  await engine.tiffinOk("import", archive, "traps");
  await engine.tiffinOk("import", "--change", "VOLUME /data", archive, "withvolume");
}

describe.skipIf(engineObstacle !== undefined)("volumes", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
    await importImage();
  }, TIMEOUT_MS);

  afterEach(async () => {
    await engine.removeContainers();
    const left = await names();
    if (left.length > 0) await engine.tiffinOk("volume", "rm", ...left);
    expect(readdirSync(join(engine.root, "volumes"))).toEqual([]);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await engine.close();
  }, TIMEOUT_MS);

  const it = (name: string, work: () => Promise<void>) => test(name, work, TIMEOUT_MS);

  describe("that are empty", () => {
    it("take what the image has there, with owners, modes and links, as plain ids on disk", async () => {
      const listed = await run("-v", "new:/data", "traps", "ls", "-lan", "/data", "/data/sub");
      expect(listed).toMatch(/-rwsr-xr-x\s+2 1000\s+50 .* file/);
      expect(listed).toMatch(/drwxr-x---\s+3 999\s+44 .* \./);
      expect(statSync(data("new"))).toMatchObject({ uid: 999, gid: 44, mode: 0o40750 });
      const file = statSync(data("new", "file"));
      expect(file).toMatchObject({ uid: 1000, gid: 50, mode: 0o104755, nlink: 2 });
      expect(statSync(data("new", "sub/hard")).ino).toBe(file.ino);
      expect(lstatSync(data("new", "outward")).isSymbolicLink()).toBe(true);
      expect(statSync(join(engine.root, "volumes")).mode & 0o777).toBe(0o700);
    });

    it("are filled once: what a container deletes stays away", async () => {
      await run("-v", "new:/data", "traps", "rm", "/data/file");
      expect(await run("-v", "new:/data", "traps", "ls", "/data")).not.toMatch(/^file$/m);
    });

    it("stay empty with nocopy, and where the image has nothing", async () => {
      expect(await run("-v", "new:/data:nocopy", "traps", "ls", "/data")).toBe("");
      const mount = "type=volume,src=new,dst=/data,volume-nocopy";
      expect(await run("--mount", mount, "traps", "ls", "/data")).toBe("");
      expect(statSync(data("new"))).toMatchObject({ uid: 0, gid: 0, mode: 0o40755 });
      expect(await run("-v", "other:/nothing", "traps", "ls", "/nothing")).toBe("");
    });

    it("take nothing from outside of an image, whatever its links say", async () => {
      for (const path of ["/absolute", "/upwards"]) {
        const name = `v${path.slice(1)}`;
        expect(await run("-v", `${name}:${path}`, "traps", "ls", path)).toBe("ann");
        expect(readdirSync(data(name))).toEqual(["ann"]);
      }
      expect((await failing("-v", "loop:/circle", "traps", "true")).status).toBe(125);
    });

    it("are whole for each of many containers that come at once, and made once", async () => {
      const since = String(Math.floor(Date.now() / 1000) - 1);
      const runs = Array.from({ length: 8 }, () =>
        run("-v", "shared:/data", "traps", "cat", "/data/sub/hard"),
      );
      for (const text of await Promise.all(runs)) expect(text).toBe("from the image");
      const filter = ["--filter", "type=volume", "--filter", "event=create"];
      const until = String(Math.ceil(Date.now() / 1000) + 1);
      const events = await engine.tiffinOk("events", "--since", since, "--until", until, ...filter);
      expect(events.split("\n").filter((line) => line.includes("shared"))).toHaveLength(1);
    });

    it("are filled under a container that has them open already", async () => {
      await start("holder", "-v", "held:/x", "busybox", "sleep", "1000");
      await run("-v", "held:/data", "traps", "true");
      expect(await engine.tiffinOk("exec", "holder", "cat", "/x/file")).toBe("from the image");
    });
  });

  describe("without a name", () => {
    it("are made for the image's VOLUME and go with --rm, which named ones do not", async () => {
      expect(await run("-v", "kept:/kept", "withvolume", "cat", "/data/file")).toBe(
        "from the image",
      );
      expect(await names()).toEqual(["kept"]);
    });

    it("stay after rm, and go with rm -v", async () => {
      await start("one", "-v", "/more", "withvolume", "true");
      const [first] = await mountsOf("one");
      expect(await names()).toHaveLength(2);
      expect(first?.Name).toMatch(/^[0-9a-f]{64}$/);
      const inspected = await engine.tiffinOk("volume", "inspect", first?.Name ?? "");
      expect(inspected).toContain('"com.docker.volume.anonymous": ""');
      await engine.tiffinOk("wait", "one");
      await engine.tiffinOk("rm", "one");
      expect(await names()).toHaveLength(2);
      await start("two", "withvolume", "sleep", "1000");
      await engine.dockerOk("rm", "-fv", "two");
      expect(await names()).toHaveLength(2);
    });

    it("live as long as a container has them through --volumes-from", async () => {
      await start("one", "-v", "named:/named:ro", "withvolume", "sleep", "1000");
      await start("two", "--volumes-from", "one", "busybox", "sleep", "1000");
      await engine.tiffinOk("exec", "one", "touch", "/data/seen");
      expect(await engine.tiffinOk("exec", "two", "ls", "/data/seen")).toBe("/data/seen");
      expect((await engine.tiffin(["exec", "two", "touch", "/named/x"])).status).toBe(1);
      await engine.tiffinOk("rm", "-fv", "one");
      expect(await names()).toHaveLength(2);
      await engine.tiffinOk("rm", "-fv", "two");
      expect(await names()).toEqual(["named"]);
    });

    it("are read-only for a container that takes them so", async () => {
      await start("one", "withvolume", "sleep", "1000");
      const { status, stderr } = await failing(
        "--volumes-from",
        "one:ro",
        "busybox",
        "touch",
        "/data/x",
      );
      expect({ status, stderr }).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("Read-only file system"),
      });
    });

    it("refuse the place of a file, and leave nothing", async () => {
      for (const volume of ["/etc/passwd", "fresh:/etc/passwd"]) {
        const { status, stderr } = await failing("-v", "made:/m", "-v", volume, "busybox", "true");
        expect(status).toBe(125);
        expect(stderr).toContain("cannot mount volume over existing file, file exists /etc/passwd");
      }
      expect(await engine.tiffinOk("ps", "-aq")).toBe("");
      expect(await names()).toEqual([]);
    });
  });

  it("that a failing create made are gone, those that were there stay", async () => {
    await engine.tiffinOk("volume", "create", "old");
    await start("taken", "busybox", "true");
    const args = ["create", "--name", "taken", "-v", "old:/a", "-v", "fresh:/b", "busybox", "true"];
    expect((await engine.tiffin(args)).status).not.toBe(0);
    expect(await names()).toEqual(["old"]);
  });

  describe("in use", () => {
    it("refuse to go, in docker's words, with status 409", async () => {
      await engine.tiffinOk("create", "--name", "user", "-v", "used:/x", "busybox", "true");
      const { Id } = await callOk<{ Id: string }>(engine, "GET", "/containers/user/json");
      for (const path of ["/volumes/used", "/volumes/used?force=1"]) {
        const { status, json } = await callApi(engine, "DELETE", path);
        expect({ status, json }).toMatchObject({
          status: 409,
          json: { message: `remove used: volume is in use - [${Id}]` },
        });
      }
      const removed = await engine.docker(["volume", "rm", "used"]);
      expect(removed).toMatchObject({ status: 1, stdout: "" });
      expect(removed.stderr).toContain("volume is in use");
      await engine.tiffinOk("rm", "user");
      expect(await engine.dockerOk("volume", "rm", "used")).toBe("used");
    });

    it("are found by ps --filter volume= and shown by system df", async () => {
      await engine.tiffinOk("create", "--name", "user", "-v", "used:/data", "traps", "true");
      await engine.tiffinOk("create", "--name", "none", "busybox", "true");
      for (const word of ["used", "/data"]) {
        const args = [
          "ps",
          "-a",
          "--filter",
          `volume=${word}`,
          "--format",
          "{{.Names}} {{.Mounts}}",
        ];
        expect(await engine.dockerOk(...args)).toBe("user used");
        expect(await engine.tiffinOk(...args)).toBe("user used");
      }
      const usage = await callOk<{ Volumes: object[] }>(engine, "GET", "/system/df");
      expect(usage.Volumes).toMatchObject([
        { Name: "used", Driver: "local", Scope: "local", UsageData: { RefCount: 1, Size: 30 } },
      ]);
    });
  });

  describe("of which a part is mounted", () => {
    const mounted = (subpath: string) =>
      engine.tiffin([
        "run",
        "--rm",
        "--network=none",
        `--mount=type=volume,src=parts,dst=/m,volume-subpath=${subpath}`,
        "busybox",
        "ls",
        "/m",
      ]);

    it("show that part, through links too, and nothing of the host", async () => {
      const script = `mkdir -p /v/a/b /v/etc; echo x > /v/a/b/file; echo inside > /v/etc/inside
        ln -s a/b /v/link; ln -s /etc /v/absolute; ln -s ../../../../../etc /v/upwards`;
      await run("-v", "parts:/v", "busybox", "sh", "-c", script);
      for (const [subpath, listed] of [
        ["a/b", "file\n"],
        ["a/../a/b/.", "file\n"],
        ["link", "file\n"],
        ["absolute", "inside\n"],
        ["upwards", "inside\n"],
        ["a/b/file", "/m\n"],
      ] as const) {
        const { status, stdout } = await mounted(subpath);
        expect({ subpath, status, stdout }).toEqual({ subpath, status: 0, stdout: listed });
      }
    });

    it("refuse one that is not there, or leads out", async () => {
      await engine.tiffinOk("volume", "create", "parts");
      const missing = await mounted("nothing");
      expect(missing.status).toBe(125);
      expect(missing.stderr).toMatch(/cannot access path .*\/nothing: no such file or directory/);
      expect((await mounted("../x")).stderr).toContain("subpath must be a relative path within");
      expect(await engine.tiffinOk("ps", "-aq")).toBe("");
    });
  });

  describe("that a prune finds", () => {
    async function prepare(): Promise<void> {
      await engine.tiffinOk("volume", "create");
      await engine.tiffinOk("volume", "create", "--label", "keep=1", "named");
      await engine.tiffinOk("create", "-v", "used:/x", "busybox", "true");
      const tmpfs = ["-o", "type=tmpfs", "-o", "device=tmpfs"];
      await engine.tiffinOk("volume", "create", ...tmpfs, "options");
      writeFileSync(data("named", "file"), "12345");
    }

    it("are the anonymous ones, and all with --all; those in use and those with options stay", async () => {
      await prepare();
      // What an older client asks for means all of them.
      const all = isCurrentDocker("volume prune -a") ? "-fa" : "-f";
      const dry = await engine.tiffinOk("volume", "prune", "--all", "--dry-run");
      expect(dry).toMatch(
        /^Would delete volumes:\n[0-9a-f]{64}\nnamed\n\nTotal reclaimable space: 5B$/,
      );
      expect(await names()).toHaveLength(4);
      expect(await engine.tiffinOk("volume", "prune", "-f")).toMatch(
        /^Deleted Volumes:\n[0-9a-f]{64}\n\nTotal reclaimed space: 0B$/,
      );
      expect(await engine.dockerOk("volume", "prune", all)).toBe(
        "Deleted Volumes:\nnamed\n\nTotal reclaimed space: 5B",
      );
      expect(await names()).toEqual(["options", "used"]);
    });

    it("are limited by labels, and all for clients before 1.42", async () => {
      await prepare();
      const filters = (value: object) => `filters=${encodeURIComponent(JSON.stringify(value))}`;
      const prune = async (path: string) =>
        (await callOk<{ VolumesDeleted: string[] }>(engine, "POST", path)).VolumesDeleted;
      const all = { all: ["true"] };
      expect(await prune(`/volumes/prune?${filters({ ...all, label: ["keep=2"] })}`)).toEqual([]);
      const unlabelled = await prune(`/volumes/prune?${filters({ ...all, "label!": ["keep"] })}`);
      expect(unlabelled).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)]);
      expect(await prune("/volumes/prune")).toEqual([]);
      expect(await prune("/v1.41/volumes/prune")).toEqual(["named"]);
      const { status } = await callApi(
        engine,
        "POST",
        `/volumes/prune?${filters({ name: ["x"] })}`,
      );
      expect(status).toBe(400);
    });
  });

  it("tell their lives in docker's events", async () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    await run("-v", "told:/x:ro", "busybox", "true");
    await engine.tiffinOk("volume", "rm", "told");
    const until = String(Math.ceil(Date.now() / 1000) + 1);
    const args = ["events", "--since", since, "--until", until, "--filter", "volume=told"];
    const lines = (await engine.dockerOk(...args, "--format", "{{json .}}")).split("\n");
    const events = lines.map((line) => JSON.parse(line) as { Action: string; Actor: object });
    expect(events.map(({ Action }) => Action)).toEqual(["create", "mount", "unmount", "destroy"]);
    expect(events[1]?.Actor).toMatchObject({
      ID: "told",
      Attributes: { driver: "local", destination: "/x", "read/write": "false", propagation: "" },
    });
  });

  it("of which the record and the disk differ are told of, and mended without losing data", async () => {
    const directory = join(engine.root, "volumes");
    mkdirSync(join(directory, "lost/_data"), { recursive: true });
    writeFileSync(join(directory, "lost/_data/precious"), "x");
    mkdirSync(join(directory, "empty/_data"), { recursive: true });
    await engine.tiffinOk("volume", "create", "broken");
    rmSync(join(directory, "broken"), { recursive: true });
    const check = await engine.tiffin(["system", "check"]);
    expect(check.status).toBe(1);
    expect(check.stdout).toMatch(/volume .*\/lost +no volume has this directory +open/);
    expect(check.stdout).toMatch(/volume +broken +its directory is missing +open/);
    await engine.tiffin(["system", "check", "--repair"]);
    expect(await names()).toEqual(["broken", "lost"]);
    expect(readFileSync(data("lost", "precious"), "utf8")).toBe("x");
    expect(existsSync(join(directory, "empty"))).toBe(false);
    await engine.tiffinOk("volume", "rm", "broken");
  });

  it("are answered for by the API as docker does", async () => {
    const created = await callApi(engine, "POST", "/volumes/create", {
      Name: "api",
      Labels: { a: "b" },
    });
    expect(created).toMatchObject({ status: 201, json: { Name: "api", Options: null } });
    expect((await callApi(engine, "POST", "/volumes/create", { Name: "api" })).json).toMatchObject({
      Labels: { a: "b" },
    });
    expect((await callApi(engine, "GET", "/volumes/none")).json).toMatchObject({
      message: "get none: no such volume",
    });
    expect((await callApi(engine, "DELETE", "/volumes/none")).status).toBe(404);
    expect((await callApi(engine, "DELETE", "/volumes/none?force=true")).status).toBe(204);
    expect((await callApi(engine, "PUT", "/volumes/api")).status).toBe(503);
    for (const Name of ["..", "a/b", "-x", "x", "a".repeat(300)]) {
      expect((await callApi(engine, "POST", "/volumes/create", { Name })).status).toBe(400);
    }
  });
});
