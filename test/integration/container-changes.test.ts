/** What a container has changed: `diff`, `export`, `commit` and `history`, through docker's client and tiffin. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: changes of containers: ${obstacle}`);
const TIMEOUT_MS = 120_000;

let engine: EngineFixture;
const docker = (...args: string[]) => engine.dockerOk(...args);
const tiffin = (...args: string[]) => engine.tiffinOk(...args);
const inside = (script: string) => engine.tiffinOk("exec", "box", "sh", "-ec", script);
const layersOf = async (image: string): Promise<string[]> =>
  JSON.parse(await docker("image", "inspect", "-f", "{{json .RootFS.Layers}}", image)) as string[];

async function start(image = "busybox"): Promise<void> {
  await docker("run", "-d", "--name", "box", "--network", "none", image, "sleep", "10000");
}

const CHANGE = `mkdir -p /new/below; echo a > /new/below/file; echo more >> /etc/passwd; chmod 700 /root; rm /bin/vi
rm -r /home/ann; mkdir /home/ann; echo x > /home/ann/x; ln -s /etc /link; touch /tmp/t; chown 1000:50 /tmp/t`;

describe.skipIf(obstacle !== undefined)("what a container has changed", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);
  afterEach(async () => await engine.removeContainers());
  afterAll(async () => await engine.close(), TIMEOUT_MS);

  test("is nothing at first, and then what was added, changed and deleted, running or not", async () => {
    await start();
    expect(await docker("diff", "box")).toBe("");
    expect(await callOk(engine, "GET", "/containers/box/changes")).toBe(null);
    await inside(CHANGE);
    const expected = [
      "C /bin",
      "D /bin/vi",
      "C /etc",
      "C /etc/passwd",
      "C /home",
      "C /home/ann",
      "A /home/ann/x",
      "A /link",
      "A /new",
      "A /new/below",
      "A /new/below/file",
      "C /root",
      "C /tmp",
      "A /tmp/t",
    ];
    expect((await docker("diff", "box")).split("\n")).toEqual(expected);
    await docker("stop", "-t", "0", "box");
    expect((await engine.tiffinOk("diff", "box")).split("\n")).toEqual(expected);
    await docker("start", "box");
    expect((await docker("container", "diff", "box")).split("\n")).toEqual(expected);
  });

  test("tells names that a directory made anew hides as deleted, and attributes alone as a change", async () => {
    await inside0("mkdir -p /d/sub; echo 1 > /d/one; echo 2 > /d/sub/two; echo k > /keep");
    await start("with-d");
    await inside("rm -r /d; mkdir /d; echo new > /d/three; chmod 600 /keep");
    expect((await docker("diff", "box")).split("\n")).toEqual([
      "C /d",
      "D /d/one",
      "D /d/sub",
      "A /d/three",
      "C /keep",
    ]);
    await docker("commit", "box", "without-d");
    expect(await docker("run", "--rm", "--network", "none", "without-d", "ls", "/d")).toBe("three");
    await engine.removeContainers();
    await docker("rmi", "without-d", "with-d");
  });

  /** An image with-d made by a script in busybox. */
  async function inside0(script: string): Promise<void> {
    await start();
    await inside(script);
    await docker("commit", "box", "with-d");
    await engine.removeContainers();
  }

  test("export holds the whole root and makes an image that runs", async () => {
    await docker(
      "run",
      "-d",
      "--name",
      "box",
      "--network",
      "none",
      "-v",
      "vol:/vol",
      "--tmpfs",
      "/run",
      "busybox",
      "sleep",
      "1000",
    );
    await inside(`${CHANGE}; echo v > /vol/file; echo r > /run/file`);
    const file = join(engine.directory, "export.tar");
    await engine.tiffinOk("export", "-o", file, "box");
    const { bytes } = await engine.docker(["export", "box"]);
    const { stdout } = await engine.start("sh", [
      "-c",
      `tar -tf ${file}; tar -xOf ${file} etc/passwd | tail -n 1`,
    ]).ended;
    const names = stdout.split("\n");
    for (const name of ["new/below/file", "vol/", "run/", "more", "home/ann/x", "bin/busybox"])
      expect(names).toContain(name);
    for (const name of ["bin/vi", "vol/file", "run/file", "./"]) expect(names).not.toContain(name);
    expect(bytes.length).toBe(Bun.file(file).size);
    await engine.tiffinOk("import", file, "exported");
    expect(
      await docker("run", "--rm", "--network", "none", "exported", "cat", "/new/below/file"),
    ).toBe("a");
    const missing = await engine.tiffin(["export", "-o", join(engine.directory, "no/such"), "box"]);
    expect({ status: missing.status, made: existsSync(join(engine.directory, "no")) }).toEqual({
      status: 1,
      made: false,
    });
    await docker("rmi", "exported");
  });

  test("commit makes an image of it, with a layer that is the same each time, and lets the container go on", async () => {
    await start();
    await inside(CHANGE);
    await inside(
      "(i=0; while :; do i=$((i+1)); echo $i > /dev/shm/count; sleep 0.01; done) >/dev/null 2>&1 &",
    );
    const first = await docker(
      "commit",
      "-a",
      "Ann <ann@x>",
      "-m",
      "why",
      "-c",
      'CMD ["cat","/new/below/file"]',
      "-c",
      "ENV K=v",
      "box",
      "made:1",
    );
    const second = await engine.tiffinOk("commit", "--pause=false", "box", "made:2");
    expect(first).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(await layersOf(second)).toEqual(await layersOf("made:1"));
    expect((await layersOf("made:1")).length).toBe((await layersOf("busybox")).length + 1);
    const count = await inside("cat /dev/shm/count");
    await Bun.sleep(300);
    expect(await inside("cat /dev/shm/count")).not.toBe(count);
    const run = (...words: string[]) => docker("run", "--rm", "--network", "none", ...words);
    expect(await run("made:1")).toBe("a");
    expect(
      await run(
        "made:1",
        "sh",
        "-c",
        "echo $K; test -e /bin/vi || echo gone; ls /home/ann; stat -c %a:%u:%g /root /tmp/t; tail -n 1 /etc/passwd",
      ),
    ).toBe("v\ngone\nx\n700:0:0\n644:1000:50\nmore");
    const format = "{{.Author}}|{{.Comment}}|{{json .Config.Cmd}}";
    expect(await docker("image", "inspect", "-f", format, "made:1")).toBe(
      'Ann <ann@x>|why|["cat","/new/below/file"]',
    );
    const lines = await engine.tiffinOk(
      "history",
      "--format",
      "{{.CreatedBy}}|{{.Comment}}",
      "made:1",
    );
    expect(lines.split("\n")[0]).toBe("sleep 10000|why");
    const columns = async (client: (...args: string[]) => Promise<string>, ...flags: string[]) =>
      client("history", ...flags, "made:1");
    for (const flags of [
      ["--no-trunc", "-H=false"],
      ["-q"],
      ["-H=false"],
      ["--format", "{{.CreatedAt}} {{.CreatedBy}}"],
      ["--format", "table {{.ID}}\t{{.Size}}"],
    ]) {
      expect(await columns(tiffin, ...flags)).toBe(await columns(docker, ...flags));
    }
    await engine.removeContainers();
    await docker("rmi", "made:1", "made:2");
    expect(await unownedResources(engine)).toEqual([]);
  });

  test("commit of nothing adds no layer, and one that cannot be is refused before anything is made", async () => {
    await start();
    await docker("commit", "box", "same");
    expect(await layersOf("same")).toEqual(await layersOf("busybox"));
    const images = await docker("images", "-aq");
    for (const words of [
      ["box", "UPPER"],
      ["-c", "NOSUCH x", "box", "x"],
      ["none", "x"],
    ]) {
      expect((await engine.docker(["commit", ...words])).status).toBe(1);
    }
    expect(await docker("images", "-aq")).toBe(images);
    await engine.removeContainers();
    await docker("rmi", "same");
  });
});
