/** Our own command line: what docker has not, archives in all forms, and the same answers as docker's client elsewhere. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isCurrentDocker } from "./docker-client.ts";
import {
  busyboxTree,
  type EngineFixture,
  engineObstacle,
  openEngineFixture,
} from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skip: tiffin's command line: ${engineObstacle}`);
const noDocker = Bun.which("docker") === null;
if (noDocker) console.log("skip: tiffin beside docker's client: there is no docker");
const noZstd = Bun.which("zstd") === null;
if (noZstd) console.log("skip: archives in zstd: there is no zstd");

let engine: EngineFixture;
const tiffin = (...args: string[]) => engine.tiffinOk(...args);

describe.skipIf(engineObstacle !== undefined)("tiffin", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  test("--time-offset shifts the container's clocks, also an exec's, not the host's", async () => {
    const hours = (text: string) => Number(text.split(" ")[0]) / 3600;
    const here = hours(readFileSync("/proc/uptime", "utf8"));
    const there = hours(
      await tiffin("run", "--rm", "--time-offset", "240h", "busybox", "cat", "/proc/uptime"),
    );
    expect(there - here).toBeGreaterThan(239);
    await tiffin(
      "run",
      "-d",
      "--name",
      "ahead",
      "--time-offset",
      "240h",
      "busybox",
      "sleep",
      "1000",
    );
    expect(hours(await tiffin("exec", "ahead", "cat", "/proc/uptime")) - here).toBeGreaterThan(239);
    await tiffin("rm", "-f", "ahead");
    expect(hours(readFileSync("/proc/uptime", "utf8")) - here).toBeLessThan(100);
  });

  test("-v SRC:DST:me: the directory's owner and the container's user are one person, both ways", async () => {
    const source = join(engine.directory, "mine");
    mkdirSync(source);
    writeFileSync(join(source, "old"), "");
    for (const path of [source, join(source, "old")]) chownSync(path, 1234, 1234);
    const script = "stat -c %u:%g /m /m/old; touch /m/new";
    expect(
      await tiffin("run", "--rm", "-v", `${source}:/m:me`, "busybox", "sh", "-c", script),
    ).toBe("0:0\n0:0");
    expect(statSync(join(source, "new"))).toMatchObject({ uid: 1234, gid: 1234 });
    const asAnn = [
      "-u",
      "ann",
      "-v",
      `${source}:/m:me`,
      "busybox",
      "sh",
      "-c",
      "stat -c %u /m/old; touch /m/hers",
    ];
    expect(await tiffin("run", "--rm", ...asAnn)).toBe("1000");
    expect(statSync(join(source, "hers"))).toMatchObject({ uid: 1234, gid: 1234 });
    const readOnly = await engine.tiffin([
      "run",
      "--rm",
      "-v",
      `${source}:/m:me,ro`,
      "busybox",
      "touch",
      "/m/x",
    ]);
    expect(readOnly.stderr).toContain("Read-only file system");
  });

  test("run --dry-run prints the plan and does nothing, as text and as JSON", async () => {
    const text = await tiffin(
      "run",
      "--dry-run",
      "--memory",
      "32m",
      "--hostname",
      "planned",
      "busybox",
      "id",
    );
    expect(text).toContain('sethostname("planned", 7)');
    expect(text).toContain('run "id"');
    const json: unknown = JSON.parse(
      await tiffin("run", "--dry-run", "--format", "json", "busybox", "id"),
    );
    expect(JSON.stringify(json)).toContain("pivot_root");
    expect(await tiffin("ps", "-aq")).toBe("");
    expect((await engine.tiffin(["run", "--dry-run", "no-such-image"])).status).toBe(125);
  });

  test("run --explain and --timings print the steps beside the output, and keep the status", async () => {
    const explained = await engine.tiffin([
      "run",
      "--rm",
      "--explain",
      "busybox",
      "sh",
      "-c",
      "echo out; exit 3",
    ]);
    expect(explained.status).toBe(3);
    expect(explained.stdout + explained.stderr).toMatch(/pivot_root/);
    expect(explained.stdout).toEndWith("out\n");
    const timed = await engine.tiffin(["run", "--rm", "--timings", "busybox", "echo", "out"]);
    expect(timed.status).toBe(0);
    expect(timed.stdout + timed.stderr).toMatch(/\d\.\d+ ms .*make it the root/);
  });

  test("exec --timings prints the steps after the output, and keeps the status", async () => {
    await engine.tiffinOk("run", "-d", "--name", "timed", "busybox", "sleep", "1000");
    const words = ["exec", "--timings", "timed", "sh", "-c", "echo out; exit 3"];
    const { status, stdout, stderr } = await engine.tiffin(words);
    expect({ status, stdout }).toEqual({ status: 3, stdout: "out\n" });
    expect(stderr).toMatch(/\d\.\d+ ms .*run "sh"/);
    expect(stderr).toMatch(/\d+ steps, \d+\.\d+ ms until the program ran/);
    await engine.tiffinOk("rm", "-f", "timed");
  });

  test("system check finds what has no owner, and --repair removes it", async () => {
    expect(await tiffin("system", "check")).toBe("Everything is where it should be");
    const id = "0123456789abcdef".repeat(4);
    mkdirSync(join(engine.run, "processes", id));
    mkdirSync(join(engine.root, "containers", id), { recursive: true });
    const found = await engine.tiffin(["system", "check"]);
    expect(found.status).toBe(1);
    expect(found.stdout).toContain("no process has this run directory");
    expect(found.stdout).toContain("no container has this directory");
    expect((await engine.tiffin(["system", "check", "--repair"])).stdout).toContain("repaired");
    expect(await tiffin("system", "check")).toBe("Everything is where it should be");
  });

  test("exit codes: 125, 126, 127, the program's, 128 + n", async () => {
    const status = async (...args: string[]) =>
      (await engine.tiffin(["run", "--rm", ...args])).status;
    expect(await status("no-such-image")).toBe(125);
    expect(await status("--no-such-flag", "busybox")).toBe(125);
    expect(await status("--device", "/dev/no-such", "busybox", "true")).toBe(125);
    expect(await status("busybox", "/etc/passwd")).toBe(126);
    expect(await status("busybox", "no-such-program")).toBe(127);
    expect(await status("busybox", "sh", "-c", "exit 9")).toBe(9);
    expect(await status("--init", "busybox", "sh", "-c", "kill -9 $$")).toBe(137);
  });

  test("20 MB through stdin and back, bit for bit; half-close; a slow reader loses nothing", async () => {
    const sent = randomBytes(20_000_000);
    const { bytes } = await engine.tiffin(["run", "--rm", "-i", "busybox", "cat"], { stdin: sent });
    expect(Buffer.compare(bytes, sent)).toBe(0);
    const half = engine.startClient("tiffin", [
      "run",
      "--rm",
      "-i",
      "busybox",
      "sh",
      "-c",
      "wc -c; sleep 0.3; echo later",
    ]);
    half.write("12345");
    half.endInput();
    expect(await half.ended).toMatchObject({ status: 0, stdout: "5\nlater\n" });
    const script = `$TIFFIN run --rm busybox sh -c 'head -c 20000000 /dev/zero; echo over >&2; exit 7' | (sleep 1; wc -c)`;
    const slow = engine.start("sh", ["-c", script], {
      env: { TIFFIN: join(import.meta.dirname, "../../bin/tiffin") },
    });
    expect(await slow.ended).toMatchObject({ stdout: "20000000\n", stderr: "over\n" });
  });

  describe("import and load", () => {
    const archive = (name: string) => join(engine.directory, name);

    beforeAll(async () => {
      const pack = `tar -C ${busyboxTree(engine.directory)} -cf rootfs.tar . && gzip -kf rootfs.tar${noZstd ? "" : " && zstd -qkf rootfs.tar"}`;
      expect((await engine.start("sh", ["-c", pack], { cwd: engine.directory }).ended).status).toBe(
        0,
      );
    });

    test.each(["rootfs.tar", "rootfs.tar.gz", ...(noZstd ? [] : ["rootfs.tar.zst"])])(
      "import %s from a file and stdin",
      async (name) => {
        const fromFile = await tiffin("import", archive(name), "from:file");
        expect(fromFile).toMatch(/^sha256:/);
        const fromStdin = await engine.tiffin(["import", "-", "from:stdin"], {
          stdin: readFileSync(archive(name)),
        });
        expect(fromStdin.status).toBe(0);
        for (const image of ["from:file", "from:stdin"])
          expect(await tiffin("run", "--rm", image, "id", "-un")).toBe("root");
        const layers = await tiffin("inspect", "-f", "{{json .RootFS.Layers}}", "from:file");
        // The layer is what is inside, however it came.
        expect(layers).toBe(await tiffin("inspect", "-f", "{{json .RootFS.Layers}}", "busybox"));
        await tiffin("rmi", "from:file", "from:stdin");
      },
    );

    const tools = ["umoci", "skopeo"].filter((program) => Bun.which(program) === null);
    if (tools.length > 0)
      console.log(`skip: load of other tools' archives: this needs ${tools.join(", ")}`);

    test.skipIf(tools.length > 0)(
      "load a docker-archive and OCI layouts with gzip and zstd layers, from a file and stdin",
      async () => {
        const make = `umoci init --layout oci; umoci new --image oci:a
        umoci unpack --image oci:a b1; cp -a busybox/. b1/rootfs/; umoci repack --image oci:a b1
        umoci unpack --image oci:a b2; echo two >b2/rootfs/two; rm -r b2/rootfs/home; umoci repack --image oci:a b2
        skopeo copy -q oci:oci:a docker-archive:docker.tar:app:docker; skopeo copy -q oci:oci:a oci-archive:gzip.tar:app:gzip
        skopeo copy -q --dest-compress --dest-compress-format zstd oci:oci:a oci:zstd:app:zstd; tar -C zstd -cf zstd.tar .`;
        const made = await engine.start("sh", ["-ec", make], { cwd: engine.directory }).ended;
        expect(made).toMatchObject({ status: 0 });
        for (const name of ["docker", "gzip", "zstd"]) {
          expect(await tiffin("load", "-i", archive(`${name}.tar`))).toBe(
            `Loaded image: app:${name}`,
          );
          const ran = await engine.tiffin([
            "run",
            "--rm",
            `app:${name}`,
            "sh",
            "-c",
            "cat /two; ls -d /home",
          ]);
          expect(ran.stdout).toBe("two\n");
          expect(ran.status).not.toBe(0);
          await tiffin("rmi", `app:${name}`);
          const again = await engine.tiffin(["load"], {
            stdin: readFileSync(archive(`${name}.tar`)),
          });
          expect(again.stdout).toContain(`Loaded image: app:${name}`);
          await tiffin("rmi", `app:${name}`);
        }
      },
    );
  });

  test.skipIf(noDocker)("answers as docker's client does", async () => {
    const isCurrent = isCurrentDocker("--format json; inspect as the client itself writes it");
    await tiffin("run", "-d", "--name", "one", "--label", "a=b", "busybox", "sleep", "1000");
    await tiffin("create", "--name", "two", "busybox", "echo", "a b");
    await engine.tiffin([
      "run",
      "--name",
      "three",
      "busybox",
      "sh",
      "-c",
      "echo out; echo err >&2; exit 9",
    ]);
    const commands = [
      ["ps"],
      ["ps", "-a", "--no-trunc"],
      ["ps", "-aq"],
      ["ps", "-a", "--format", "table {{.ID}}\t{{.Names}}\t{{.Command}}\t{{.Ports}}"],
      ...(isCurrent ? [["ps", "-a", "--format", "json"]] : []),
      ["ps", "-a", "-f", "status=exited", "--format", "{{.Names}} {{.Image}}"],
      ["ps", "-a", "-f", "no-such=1"],
      ["images"],
      ["images", "-q", "--no-trunc"],
      ["images", "--format", "{{json .}}"],
      ["logs", "three"],
      ["logs", "--tail", "1", "-t", "three"],
      ["logs", "no-such"],
      ...(isCurrent ? ["one", "busybox"].map((name) => ["inspect", name]) : []),
      [
        "inspect",
        "-f",
        "{{.HostConfig.NetworkMode}} {{json .HostConfig.LogConfig}} {{.HostConfig.ShmSize}}",
        "two",
      ],
      ["inspect", "-f", "{{range .Config.Env}}{{println .}}{{end}}", "one"],
      ["inspect", "-f", "{{.NoSuchField}}", "one"],
      ["inspect", "no-such"],
      ["wait", "three"],
      ["start", "no-such"],
      ["rm", "one"],
      ["rmi", "no-such"],
      ["kill", "two"],
      ["tag", "no-such", "x"],
      ["exec", "two", "true"],
      ["exec", "one", "no-such-program"],
      ["attach", "two"],
      ["run", "--rm", "busybox", "no-such-program"],
      [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "-f",
        "container=two",
        "--format",
        "{{.Action}} {{.ID}}",
      ],
    ];
    /** Time goes on between the two. */
    const facts = ({ status, stdout }: { status: number; stdout: string }) => ({
      status,
      stdout: stdout
        .replaceAll(/(Less than a second|\d+ seconds?|About a minute|\d+ minutes?)/g, "TIME")
        .replaceAll(/ +/g, " "),
    });
    const differences: unknown[] = [];
    for (const command of commands) {
      const ours = await engine.tiffin(command);
      const theirs = await engine.docker(command);
      if (!Bun.deepEquals(facts(ours), facts(theirs))) {
        differences.push({ command, ours: facts(ours), theirs: facts(theirs) });
      }
    }
    expect(differences).toEqual([]);
    await tiffin("rm", "-f", "one", "two", "three");
  });
});
