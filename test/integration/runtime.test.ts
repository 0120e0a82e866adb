/** `--runtime`: containers that other OCI runtimes make, through tiffin and docker's own client, and what is left of them. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callOk } from "./engine-api.ts";
import {
  type EngineFixture,
  engineObstacle,
  openEngineFixture,
  TIFFIN,
  until,
} from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: --runtime: ${engineObstacle}`);

setDefaultTimeout(90_000);

const ENDS_ON_TERM = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done";

let engine: EngineFixture;

interface Inspected {
  readonly Id: string;
  readonly State: {
    readonly Status: string;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly OOMKilled: boolean;
  };
  readonly HostConfig: { readonly Runtime: string };
}

const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
const logs = async (name: string) => (await engine.tiffin(["logs", name])).stdout;

/** Path of `tiffin oci` as a program of its own. */
const ownRuntime = () => join(engine.directory, "tiffin-runtime");

beforeAll(async () => {
  if (engineObstacle !== undefined) return;
  engine = await openEngineFixture();
  await engine.importBusybox();
  writeFileSync(ownRuntime(), `#!/bin/sh\nexec ${TIFFIN} oci "$@"\n`);
  chmodSync(ownRuntime(), 0o755);
});

afterEach(async () => {
  if (engineObstacle !== undefined) return;
  await engine.removeContainers();
  expect(await unownedResources(engine)).toEqual([]);
  expect(namedGroups()).toEqual([]);
});

afterAll(async () => {
  if (engineObstacle === undefined) await engine.close();
});

/** Groups of the engine's containers in hierarchies without controllers, which runtimes make and the engine does not. */
function namedGroups(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup .*name=/.test(line))
    .map((line) => join(line.split(" ")[4] ?? "", "tiffin", engine.engineId))
    .flatMap((parent) => {
      try {
        return readdirSync(parent, { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map(({ name }) => join(parent, name));
      } catch {
        return [];
      }
    });
}

for (const name of ["runc", "crun", "tiffin oci"]) {
  const obstacle =
    engineObstacle ??
    (name !== "tiffin oci" && Bun.which(name) === null ? `there is no ${name}` : undefined);
  if (obstacle !== undefined) console.log(`skipped: --runtime ${name}: ${obstacle}`);
  const runtime = () => (name === "tiffin oci" ? ownRuntime() : name);

  const run = (options: readonly string[], ...command: string[]) =>
    engine.tiffin(["run", "--runtime", runtime(), ...options, "busybox", ...command]);

  async function start(container: string, script: string, ...options: string[]) {
    const ran = await run(["-d", "--name", container, ...options], "sh", "-c", script);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
  }

  describe.skipIf(obstacle !== undefined)(`a container that ${name} makes`, () => {
    test("gives its output, its errors and its status, and is gone with --rm", async () => {
      const ran = await run(["--rm"], "sh", "-c", "echo out; echo err >&2; exit 7");
      expect(ran).toMatchObject({ status: 7, stdout: "out\n", stderr: "err\n" });
      expect(await engine.tiffinOk("ps", "-aq")).toBe("");
    });

    test("takes what stands on its input", async () => {
      const words = ["run", "-i", "--rm", "--runtime", runtime(), "busybox", "cat"];
      const ran = await engine.tiffin(words, { stdin: "hello" });
      expect(ran).toMatchObject({ status: 0, stdout: "hello" });
    });

    test("has ids of its own, and the host's with --userns=host", async () => {
      const map = "cat /proc/self/uid_map";
      const own = await run(["--rm"], "sh", "-c", map);
      expect(own.stdout).toMatch(/^\s+0\s+1[89]\d{8}\s+65536\n$|^\s+0\s+2\d{9}\s+65536\n$/);
      const host = await run(["--rm", "--userns", "host"], "sh", "-c", map);
      expect(host.stdout).toMatch(/^\s+0\s+0\s+4294967295\n$/);
    });

    test("is its user, with the groups, in the working directory, with the environment", async () => {
      const options = ["--rm", "-u", "ann", "-w", "/made/here", "-e", "A=b", "-h", "inside"];
      const ran = await run(options, "sh", "-c", "id -u; id -G; pwd; echo $A; hostname");
      expect(ran.stdout.split("\n").slice(0, -1)).toEqual([
        "1000",
        "1000 50",
        "/made/here",
        "b",
        "inside",
      ]);
    });

    test("has the confinement of any other", async () => {
      const script =
        "grep -E '^(CapBnd|Seccomp|NoNewPrivs):' /proc/self/status; cat /proc/kcore | wc -c; mount -t tmpfs x /mnt 2>/dev/null || echo refused";
      const options = ["--rm", "--security-opt", "no-new-privileges"];
      const theirs = await run(options, "sh", "-c", script);
      const ours = await engine.tiffin(["run", ...options, "busybox", "sh", "-c", script]);
      expect(theirs.stdout).toBe(ours.stdout);
      expect(theirs.stdout).toContain("refused");
    });

    test("has volumes, binds and tmpfs, read-only where that was asked for", async () => {
      const shared = join(engine.directory, `shared-${name.replace(" ", "-")}`);
      mkdirSync(shared, { recursive: true });
      writeFileSync(join(shared, "file"), "from the host\n");
      const volume = `vol-${name.replace(" ", "-")}`;
      const options = ["-v", `${volume}:/data`, "-v", `${shared}:/in:ro`, "--tmpfs", "/t:size=1m"];
      const script =
        "cat /in/file; touch /in/x 2>/dev/null || echo read-only; echo kept > /data/f; df -k /t | tail -1 | awk '{print $2}'; stat -c %u /in/file /data";
      const ran = await run(["--rm", ...options], "sh", "-c", script);
      expect(ran.stdout).toBe("from the host\nread-only\n1024\n0\n0\n");
      const again = await run(["--rm", "-v", `${volume}:/data`], "cat", "/data/f");
      expect(again.stdout).toBe("kept\n");
      await engine.tiffinOk("volume", "rm", volume);
    });

    test("is in the bridge network, with what any other may open there", async () => {
      const script = "ls /sys/class/net; ping -c 1 -W 5 127.0.0.1 | grep -c '0% packet loss'";
      const ran = await run(["--rm"], "sh", "-c", script);
      expect(ran).toMatchObject({ status: 0, stdout: "eth0\nlo\n1\n" });
    });

    test("has a read-only root with --read-only", async () => {
      const ran = await run(["--rm", "--read-only"], "sh", "-c", "touch /x 2>&1; touch /dev/shm/y");
      expect(ran.stdout).toContain("Read-only file system");
      expect(ran.status).toBe(0);
    });

    test("ends with 127 and 126 for a command that is not there, or no program", async () => {
      const missing = await run([], "nope");
      expect(missing.status).toBe(127);
      expect(missing.stderr).toContain("nope");
      expect((await run([], "/etc/passwd")).status).toBe(126);
    });

    test("is told to stop, is killed, starts again, and keeps its log", async () => {
      await start("stopped", ENDS_ON_TERM);
      await until("it is up", async () => (await logs("stopped")) === "up\n");
      await engine.tiffinOk("stop", "stopped");
      expect((await inspect("stopped")).State).toMatchObject({ Status: "exited", ExitCode: 7 });
      await engine.tiffinOk("start", "stopped");
      await until("it is up again", async () => (await logs("stopped")) === "up\nbye\nup\n");
      await engine.tiffinOk("kill", "stopped");
      expect((await inspect("stopped")).State).toMatchObject({ Status: "exited", ExitCode: 137 });
      await engine.tiffinOk("rm", "stopped");
    });

    test("runs further processes in all its namespaces, with their own status", async () => {
      await start("execs", "echo $$ > /tmp/pid; sleep 1000");
      const script =
        "cat /tmp/pid; for p in self 1; do readlink /proc/$p/ns/net; done | uniq | wc -l; exit 5";
      await until("it is up", async () => {
        return (await engine.tiffin(["exec", "execs", "cat", "/tmp/pid"])).stdout === "1\n";
      });
      const ran = await engine.tiffin(["exec", "execs", "sh", "-c", script]);
      expect(ran).toMatchObject({ status: 5, stdout: "1\n1\n" });
      const input = await engine.tiffin(
        ["exec", "-i", "-u", "ann", "execs", "sh", "-c", "id -u; cat"],
        {
          stdin: "hello",
        },
      );
      expect(input.stdout).toBe("1000\nhello");
      expect((await engine.tiffin(["exec", "execs", "nope"])).status).toBe(127);
      await engine.tiffinOk("exec", "-d", "execs", "sleep", "1000");
      expect(await engine.tiffinOk("top", "execs")).toContain("sleep 1000");
    });

    test("stands still while it is paused", async () => {
      await start("paused", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done");
      await engine.tiffinOk("pause", "paused");
      const before = await logs("paused");
      await Bun.sleep(200);
      expect(await logs("paused")).toBe(before);
      await engine.tiffinOk("unpause", "paused");
      await until("it goes on", async () => (await logs("paused")).length > before.length);
    });

    test("dies when it needs more memory than it may have, and that is known", async () => {
      await run(["--name", "hungry", "-m", "16m"], "sh", "-c", "a=x; while :; do a=$a$a; done");
      expect((await inspect("hungry")).State).toMatchObject({ ExitCode: 137, OOMKilled: true });
    });

    test("goes on while the engine is killed, and the next one knows all of it", async () => {
      await start("survivor", ENDS_ON_TERM);
      await engine.killEngine();
      await engine.startEngine();
      const { State, HostConfig } = await inspect("survivor");
      expect(State.Status).toBe("running");
      expect(HostConfig.Runtime).toBe(runtime());
      expect((await engine.tiffin(["exec", "survivor", "echo", "here"])).stdout).toBe("here\n");
      await engine.tiffinOk("stop", "survivor");
      expect((await inspect("survivor")).State.ExitCode).toBe(7);
    });

    test("that ended while there was no engine is settled by the next one", async () => {
      await start("ended", "sleep 0.5; exit 4", "--rm=false");
      await engine.killEngine();
      await Bun.sleep(1000);
      await engine.startEngine();
      expect((await inspect("ended")).State).toMatchObject({ Status: "exited", ExitCode: 4 });
    });

    test("is restarted by its policy", async () => {
      await start("restarts", "echo up; exit 1", "--restart", "on-failure:2");
      await until("it ran three times", async () => (await logs("restarts")) === "up\nup\nup\n");
    });

    test("has a terminal of the size that was asked for", async () => {
      const create = await callOk<{ Id: string }>(engine, "POST", "/containers/create", {
        Image: "busybox",
        Tty: true,
        Cmd: ["sh", "-c", "tty; stty size; exit 3"],
        HostConfig: { NetworkMode: "none", Runtime: runtime(), ConsoleSize: [30, 99] },
      });
      await engine.tiffinOk("start", create.Id);
      expect(await engine.tiffinOk("wait", create.Id)).toBe("3");
      expect(await logs(create.Id)).toBe("/dev/pts/0\r\n30 99\r\n");
    });
  });
}

describe.skipIf(engineObstacle !== undefined)("a runtime", () => {
  test("that is not there is refused in docker's words, by either client", async () => {
    const words = ["run", "--runtime", "nope", "busybox", "true"];
    for (const client of [engine.docker, engine.tiffin]) {
      const { status, stderr } = await client(words);
      expect(status).toBe(125);
      expect(stderr).toContain("unknown or invalid runtime name: nope");
    }
    expect(await engine.tiffinOk("ps", "-aq")).toBe("");
  });

  test("that is no OCI runtime fails with what it said, and leaves nothing", async () => {
    const { status, stderr } = await engine.tiffin([
      "run",
      "--runtime",
      "/bin/false",
      "busybox",
      "true",
    ]);
    expect(status).toBe(125);
    expect(stderr).toContain("cannot create the container with /bin/false");
  });

  test("and an option that only the engine has are refused together", async () => {
    const own = ownRuntime();
    const { status, stderr } = await engine.tiffin([
      "run",
      "--init",
      "--runtime",
      own,
      "busybox",
      "true",
    ]);
    expect(status).toBe(125);
    expect(stderr).toContain("Cannot use --init with --runtime");
  });

  test("that is named tiffin is the engine itself", async () => {
    await engine.tiffinOk("create", "--name", "own", "--runtime", "tiffin", "busybox", "true");
    expect((await inspect("own")).HostConfig.Runtime).toBe("tiffin");
  });

  test("is shown with its command lines and its config.json before it is run", async () => {
    const shown = await engine.tiffinOk(
      "run",
      "--dry-run",
      "--runtime",
      ownRuntime(),
      "busybox",
      "true",
    );
    expect(shown).toContain(`execve("${ownRuntime()}"`);
    expect(shown).toContain("ociVersion");
    expect(await engine.tiffinOk("ps", "-aq")).toBe("");
  });

  test("that the host has is in info, for docker's client too", async () => {
    const format = "{{json .Runtimes}} {{.DefaultRuntime}}";
    const shown = await engine.dockerOk("info", "--format", format);
    expect(shown).toEndWith(" tiffin");
    for (const name of ["runc", "crun"]) {
      expect(shown.includes(`"${name}"`)).toBe(Bun.which(name) !== null);
    }
  });
});
