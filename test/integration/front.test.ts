/**
 * The release's front: short commands run inside of the engine, and to their caller that makes no difference but time. The
 * checkout has no front, so this makes a release.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { engineObstacle, openEngineFixture, type EngineFixture } from "./engine-fixture.ts";

const project = join(import.meta.dir, "../..");
const release = join(project, "build/tiffin");
/** Room for the executable's own mappings, and not for the heaps of a runtime. */
const ADDRESS_SPACE_KIB = 256 << 10;

describe.skipIf(engineObstacle !== undefined)("the front of a release", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    const built = Bun.spawnSync(["scripts/bun", "scripts/build.ts"], { cwd: project });
    expect(built.stderr.toString()).toBe("");
    engine = await openEngineFixture({ tiffin: release });
    await engine.importBusybox();
    await engine.tiffinOk("run", "-d", "--name", "box", "busybox", "sleep", "1000000");
  }, 300_000);

  afterAll(async () => engine?.close());

  /** With too little address space for a JavaScript runtime, which ends with a signal then. */
  async function confined(...words: string[]): Promise<number> {
    const script = `ulimit -v ${ADDRESS_SPACE_KIB}; exec "$0" "$@"`;
    return (await engine.start("sh", ["-c", script, release, ...words]).ended).status;
  }

  test.each([
    [["ps", "-a"]],
    [["exec", "box", "true"]],
    [["exec", "-e", "A=1", "-w", "/tmp", "box", "true"]],
    [["run", "--rm", "busybox", "true"]],
    [["inspect", "box"]],
    [["images", "--format", "json"]],
  ])("%j needs no runtime of its own", async (words) => {
    expect(await confined(...words)).toBe(0);
  });

  test.each([
    [["exec", "-i", "box", "true"]],
    [["exec", "-e", "HOME", "box", "true"]],
    [["ps", "--help"]],
    [["--version"]],
  ])("%j is left to the whole program", async (words) => {
    expect(await confined(...words)).toBeGreaterThan(127);
    expect((await engine.tiffin(words)).status).toBe(0);
  });

  test("output, errors and exit statuses are the program's", async () => {
    const words = ["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 7"];
    const ran = await engine.tiffin(words);
    expect(ran).toMatchObject({ status: 7, stdout: "out\n", stderr: "err\n" });
    const missing = await engine.tiffin(["exec", "box", "nothing"]);
    expect(missing.status).toBe(127);
    const nobody = await engine.tiffin(["stop", "nobody"]);
    expect(nobody).toMatchObject({ status: 1, stdout: "" });
    expect(nobody.stderr).toContain("No such container: nobody");
    const killed = await engine.tiffin(["exec", "box", "sh", "-c", "kill -9 $$"]);
    expect(killed.status).toBe(137);
  });

  test("much output to a slow reader comes whole", async () => {
    const client = engine.start("sh", [
      "-c",
      `${release} exec box sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done' | (sleep 1; cat)`,
    ]);
    const { status, stdout } = await client.ended;
    expect(status).toBe(0);
    const lines = stdout.split("\n");
    expect(lines).toHaveLength(20_001);
    expect(lines[19_999]).toBe("line 19999 of many");
  });

  test("a caller whose reader has gone dies of SIGPIPE", async () => {
    const script = `${release} exec box yes | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout } = await engine.start("bash", ["-c", script]).ended;
    expect(stdout).toBe("y\n141\n");
  });

  test("signals go on to the container of run", async () => {
    const script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.1; done";
    const client = engine.startClient("tiffin", ["run", "--rm", "busybox", "sh", "-c", script]);
    await client.seen(/ready/);
    client.process.kill("SIGTERM");
    const { status, stdout } = await client.ended;
    expect({ status, stdout }).toEqual({ status: 5, stdout: "ready\ngot it\n" });
  });

  test("three requests to end are enough for a container that ignores them", async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    const words = ["run", "--name", "deaf", "busybox", "sh", "-c", script];
    const client = engine.startClient("tiffin", words);
    await client.seen(/ready/);
    for (let count = 0; count < 3; count++) {
      client.process.kill("SIGTERM");
      await Bun.sleep(100);
    }
    const { status, stderr } = await client.ended;
    expect(status).toBe(1);
    expect(stderr).toContain("got 3 SIGTERM/SIGINTs, forcefully exiting");
    await engine.tiffinOk("rm", "-f", "deaf");
  });

  test("a signal ends a command that has nobody to pass it to", async () => {
    const client = engine.startClient("tiffin", ["wait", "box"]);
    await Bun.sleep(300);
    client.process.kill("SIGINT");
    expect((await client.ended).status).toBe(130);
    // The engine has forgotten it, and goes on.
    expect(await engine.tiffinOk("ps", "-q")).toHaveLength(12);
  });

  test("an engine that dies is told, with docker's status for its own failures", async () => {
    const client = engine.startClient("tiffin", [
      "exec",
      "box",
      "sh",
      "-c",
      "echo ready; sleep 60",
    ]);
    await client.seen(/ready/);
    await engine.killEngine();
    const { status, stderr } = await client.ended;
    expect({ status, stderr }).toEqual({
      status: 125,
      stderr: "tiffin: The engine ended before the command did\n",
    });
    await engine.startEngine();
  });

  test("relative paths are the caller's", async () => {
    writeFileSync(join(engine.directory, "note"), "from here");
    const words = ["run", "--rm", "-v", "./note:/note", "busybox", "cat", "/note"];
    const ran = await engine.tiffin(words, { cwd: engine.directory });
    expect(ran).toMatchObject({ status: 0, stdout: "from here" });
  });

  test("an OCI runtime keeps its whole environment", async () => {
    const link = join(engine.directory, "tiffin-oci");
    symlinkSync(release, link);
    for (const [program, words] of [
      [release, ["oci"]],
      [link, []],
    ] as const) {
      // What the runtime unpacks there tells that it saw the first variable.
      const place = mkdtempSync(join(engine.directory, "unpacked-"));
      const environment = [`TMPDIR=${place}`, "TIFFIN_HOST=unix:///nowhere", "LAST=1"];
      const list = [...words, "--root", join(engine.directory, "oci"), "list", "-q"];
      const ran = await engine.start("env", ["-i", ...environment, program, ...list]).ended;
      expect(ran).toMatchObject({ status: 0, stdout: "", stderr: "" });
      expect(readdirSync(place)).toHaveLength(1);
    }
  });

  test("an engine of another build gets no commands to run", async () => {
    const other = join(engine.directory, "other");
    copyFileSync(release, other);
    const bytes = Buffer.from(await Bun.file(other).bytes());
    const at = bytes.lastIndexOf("POST /tiffin/command/") + "POST /tiffin/command/".length;
    bytes.write("0123456789abcdef", at);
    writeFileSync(other, bytes);
    const ran = await engine.start(other, ["ps", "-q"]).ended;
    expect(ran.status).toBe(0);
    expect(ran.stdout).toHaveLength(13);
  });
});
