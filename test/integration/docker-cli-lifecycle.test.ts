/** Each of docker's commands for containers, run by its own client: what it does, prints and exits with. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skip: docker's container commands: ${obstacle}`);

let engine: EngineFixture;
const docker = (...args: string[]) => engine.dockerOk(...args);
const status = async (...args: string[]) => (await engine.docker(args)).status;
const inspected = (format: string, name: string) => docker("inspect", "-f", format, name);
const EXITS_ON_TERM = [
  "busybox",
  "sh",
  "-c",
  "trap 'exit 3' TERM; echo up; while :; do sleep 0.1; done",
];

async function sleeper(name: string, ...options: string[]): Promise<string> {
  return await docker("run", "-d", "--name", name, ...options, "busybox", "sleep", "1000");
}

describe.skipIf(obstacle !== undefined)("docker", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  describe("exit codes of run", () => {
    test("the program's own, and 128 + n of a signal", async () => {
      expect(await status("run", "--rm", "busybox", "true")).toBe(0);
      expect(await status("run", "--rm", "busybox", "sh", "-c", "exit 42")).toBe(42);
      expect(await status("run", "--rm", "busybox", "sh", "-c", "exit 255")).toBe(255);
      expect(await status("run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$")).toBe(137);
      expect(await status("run", "--rm", "--init", "busybox", "sh", "-c", "kill -TERM $$")).toBe(
        143,
      );
    });

    test("125 from the engine, 126 not executable, 127 not found", async () => {
      expect(await status("run", "--rm", "no-such-image", "true")).toBe(125);
      expect(await status("run", "--no-such-flag", "busybox")).toBe(125);
      expect(await status("run", "--rm", "busybox", "/etc/passwd")).toBe(126);
      expect(await status("run", "--rm", "busybox", "/etc")).toBe(126);
      expect(await status("run", "--rm", "busybox", "no-such-program")).toBe(127);
      expect(await status("run", "--rm", "busybox", "/no/such/program")).toBe(127);
      // None of them left a container.
      expect(await docker("ps", "-aq")).toBe("");
    });

    test("a container that could not start stays, with the reason, unless --rm", async () => {
      expect(await status("run", "--name", "failed", "busybox", "no-such-program")).toBe(127);
      expect(await inspected("{{.State.Status}} {{.State.ExitCode}}", "failed")).toBe(
        "created 127",
      );
      expect(await inspected("{{.State.Error}}", "failed")).toContain("no-such-program");
      await docker("rm", "failed");
    });
  });

  describe("create and start", () => {
    test("create makes one that does not run; start runs it; -a attaches", async () => {
      const id = await docker(
        "create",
        "--name",
        "made",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 4",
      );
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(await inspected("{{.State.Status}} {{.State.Pid}}", "made")).toBe("created 0");
      const ran = await engine.docker(["start", "-a", "made"]);
      expect(ran).toMatchObject({ status: 4, stdout: "out\n", stderr: "err\n" });
      // Again: it has kept its name and its root.
      expect(await docker("start", "made")).toBe("made");
      expect(await docker("wait", "made")).toBe("4");
      expect(await docker("logs", "--tail", "2", "made")).toBe("out");
      await docker("rm", id);
    });

    test("the same name twice, a bad name, and an image that is not there", async () => {
      await docker("create", "--name", "twice", "busybox", "true");
      const second = await engine.docker(["create", "--name", "twice", "busybox", "true"]);
      expect(second.status).toBe(1);
      expect(second.stderr).toContain('The container name "/twice" is already in use by container');
      expect(
        (await engine.docker(["create", "--name", "a b", "busybox", "true"])).stderr,
      ).toContain("Invalid container name");
      const missing = await engine.docker(["create", "--pull", "never", "no-such-image", "true"]);
      expect(missing).toMatchObject({ status: 1 });
      expect(missing.stderr).toContain("No such image: no-such-image:latest");
      expect(await docker("rm", "twice")).toBe("twice");
    });

    test("starting one that runs is no error; an unknown one is", async () => {
      await sleeper("runs");
      expect(await docker("start", "runs")).toBe("runs");
      const unknown = await engine.docker(["start", "no-such"]);
      expect(unknown.status).toBe(1);
      expect(unknown.stderr).toContain("No such container: no-such");
      await docker("rm", "-f", "runs");
    });

    test("changes of the root stay over a restart; tmpfs does not", async () => {
      const script = "ls /kept /tmp/gone 2>/dev/null; touch /kept /tmp/gone";
      await docker("create", "--name", "again", "--tmpfs", "/tmp", "busybox", "sh", "-c", script);
      expect(await docker("start", "-a", "again")).toBe("");
      expect((await engine.docker(["start", "-a", "again"])).stdout).toBe("/kept\n");
      await docker("rm", "again");
    });
  });

  describe("stop, kill, wait and rm", () => {
    test("stop sends TERM, and KILL after the time is over", async () => {
      await docker("run", "-d", "--name", "polite", ...EXITS_ON_TERM);
      await engine.start("sh", ["-c", "until docker logs polite | grep -q up; do sleep 0.05; done"])
        .ended;
      expect(await docker("stop", "polite")).toBe("polite");
      expect(await inspected("{{.State.Status}} {{.State.ExitCode}}", "polite")).toBe("exited 3");
      // The first process of a pid namespace ignores TERM unless it has a handler.
      await sleeper("deaf");
      expect(await docker("stop", "-t", "1", "deaf")).toBe("deaf");
      expect(await inspected("{{.State.ExitCode}}", "deaf")).toBe("137");
      expect(await docker("stop", "deaf")).toBe("deaf");
      await docker("rm", "polite", "deaf");
    });

    test("--stop-signal and --stop-timeout of the container count", async () => {
      const script = "trap 'exit 6' USR1; echo up; while :; do sleep 0.1; done";
      await docker(
        "run",
        "-d",
        "--name",
        "usr",
        "--stop-signal",
        "SIGUSR1",
        "busybox",
        "sh",
        "-c",
        script,
      );
      await engine.start("sh", ["-c", "until docker logs usr | grep -q up; do sleep 0.05; done"])
        .ended;
      await docker("stop", "usr");
      expect(await inspected("{{.State.ExitCode}}", "usr")).toBe("6");
      await sleeper("short", "--stop-timeout", "0");
      await docker("stop", "short");
      expect(await inspected("{{.State.ExitCode}}", "short")).toBe("137");
      await docker("rm", "usr", "short");
    });

    test("kill: KILL, or the signal by name and number", async () => {
      await sleeper("killed");
      expect(await docker("kill", "killed")).toBe("killed");
      expect(await docker("wait", "killed")).toBe("137");
      const script =
        "trap 'echo hup' HUP; trap 'exit 8' USR2; echo up; while :; do sleep 0.1; done";
      await docker("run", "-d", "--name", "signalled", "busybox", "sh", "-c", script);
      const until = (text: string) =>
        engine.start("sh", [
          "-c",
          `until docker logs signalled | grep -q ${text}; do sleep 0.05; done`,
        ]).ended;
      await until("up");
      await docker("kill", "-s", "HUP", "signalled");
      await until("hup");
      await docker("kill", "--signal", "12", "signalled");
      expect(await docker("wait", "signalled")).toBe("8");
      const again = await engine.docker(["kill", "signalled"]);
      expect(again.status).toBe(1);
      expect(again.stderr).toContain("is not running");
      expect(await status("kill", "-s", "NOSUCH", "signalled")).toBe(1);
      await docker("rm", "killed", "signalled");
    });

    test("wait waits for each, in order; for one that has ended it answers at once", async () => {
      await docker("run", "-d", "--name", "w1", "busybox", "sh", "-c", "sleep 0.5; exit 11");
      await docker("run", "-d", "--name", "w2", "busybox", "sh", "-c", "exit 12");
      expect(await docker("wait", "w1", "w2")).toBe("11\n12");
      expect(await docker("wait", "w1")).toBe("11");
      expect(await status("wait", "no-such")).toBe(1);
      await docker("rm", "w1", "w2");
    });

    test("rm refuses one that runs, -f removes it, --rm removes by itself", async () => {
      await sleeper("busy");
      const refused = await engine.docker(["rm", "busy"]);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain("container is running");
      expect(await docker("rm", "-f", "busy")).toBe("busy");
      expect(await status("rm", "busy")).toBe(1);
      // docker: with -f an unknown one is no failure.
      expect(await status("rm", "-f", "busy")).toBe(0);
      await docker("run", "-d", "--rm", "--name", "brief", "busybox", "true");
      await engine.docker(["wait", "brief"]);
      await engine.start("sh", [
        "-c",
        "while docker inspect brief >/dev/null 2>&1; do sleep 0.05; done",
      ]).ended;
      expect(await docker("ps", "-a", "-q", "-f", "name=brief")).toBe("");
    });
  });

  describe("ps and inspect", () => {
    let ids: string[] = [];
    beforeAll(async () => {
      // Whatever a test that failed has left.
      await engine.removeContainers();
      ids = [
        await sleeper("one", "--label", "tier=front", "--label", "x"),
        await docker("create", "--name", "two", "--label", "tier=back", "busybox", "echo", "a b"),
        await docker("run", "-d", "--name", "three", "busybox", "sh", "-c", "exit 9"),
      ];
      await docker("wait", "three");
    });
    afterAll(async () => void (await docker("rm", "-f", ...ids)));

    test("the running ones, all, the last, and quietly", async () => {
      expect(await docker("ps", "-q", "--no-trunc")).toBe(ids[0] ?? "");
      expect((await docker("ps", "-aq")).split("\n")).toEqual(
        ids.map((id) => id.slice(0, 12)).toReversed(),
      );
      expect(await docker("ps", "-ql")).toBe(ids[2]?.slice(0, 12) ?? "");
      expect((await docker("ps", "-aqn", "2")).split("\n").length).toBe(2);
      const [head, row] = (await docker("ps")).split("\n");
      expect(head).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/);
      expect(row).toMatch(/^[0-9a-f]{12} +busybox +"sleep 1000" +.*ago +Up .* one$/);
    });

    test("--format", async () => {
      const rows = await docker(
        "ps",
        "-a",
        "--format",
        '{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}|{{.Label "tier"}}',
      );
      expect(rows.split("\n")).toEqual([
        "three|busybox|\"sh -c 'exit 9'\"|exited|",
        "two|busybox|\"echo 'a b'\"|created|back",
        'one|busybox|"sleep 1000"|running|front',
      ]);
      expect(await docker("ps", "-a", "-f", "name=three", "--format", "{{.Status}}")).toMatch(
        /^Exited \(9\) .* ago$/,
      );
      const json = JSON.parse(await docker("ps", "--format", "json")) as { Names: string };
      expect(json.Names).toBe("one");
      expect(await docker("ps", "--format", "table {{.Names}}\t{{.State}}")).toBe(
        "NAMES     STATE\none       running",
      );
    });

    test("--filter", async () => {
      const names = async (...filters: string[]) =>
        (
          await docker(
            "ps",
            "-a",
            ...filters.flatMap((filter) => ["-f", filter]),
            "--format",
            "{{.Names}}",
          )
        )
          .split("\n")
          .toSorted()
          .join();
      expect(await names("status=exited")).toBe("three");
      expect(await names("status=created", "status=running")).toBe("one,two");
      expect(await names("exited=9")).toBe("three");
      expect(await names("label=tier")).toBe("one,two");
      expect(await names("label=tier=back")).toBe("two");
      expect(await names("label=tier", "label=x")).toBe("one");
      expect(await names("name=^/t")).toBe("three,two");
      expect(await names("name=t")).toBe("three,two");
      expect(await names(`id=${ids[1]?.slice(0, 6)}`)).toBe("two");
      expect(await names("ancestor=busybox")).toBe("one,three,two");
      expect(await names("before=two")).toBe("one");
      expect(await names("since=two")).toBe("three");
      expect(await status("ps", "-f", "no-such=1")).toBe(1);
    });

    test("inspect: by name, by the id's start, several, a missing one, a type", async () => {
      expect(
        await inspected(
          '{{.Name}} {{.State.Running}} {{.Config.Image}} {{.Path}} {{join .Args ","}}',
          "one",
        ),
      ).toBe("/one true busybox sleep 1000");
      expect(await inspected("{{.Name}}", ids[0]?.slice(0, 10) ?? "")).toBe("/one");
      expect(await inspected("{{json .Config.Cmd}}", "two")).toBe('["echo","a b"]');
      expect(await inspected("{{.Id}}", "three")).toBe(ids[2] ?? "");
      const both = JSON.parse(await docker("inspect", "one", "two")) as {
        State: { Status: string };
      }[];
      expect(both.map(({ State }) => State.Status)).toEqual(["running", "created"]);
      const partly = await engine.docker(["inspect", "one", "no-such"]);
      expect(partly.status).toBe(1);
      expect(partly.stderr).toContain("No such object: no-such");
      expect(JSON.parse(partly.stdout)).toHaveLength(1);
      expect(await status("inspect", "--type", "image", "one")).toBe(1);
      const pid = Number(await inspected("{{.State.Pid}}", "one"));
      expect(await Bun.file(`/proc/${pid}/comm`).text()).toBe("sleep\n");
      expect(await inspected("{{.State.StartedAt}}", "one")).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    });
  });

  describe("logs", () => {
    test("both streams, each to its own; -t, --tail, --since, --until", async () => {
      const script = "echo one; echo two >&2; sleep 1.2; echo three; printf unfinished";
      await docker("run", "--name", "speaker", "-d", "busybox", "sh", "-c", script);
      await docker("wait", "speaker");
      const all = await engine.docker(["logs", "speaker"]);
      expect(all).toMatchObject({ status: 0, stdout: "one\nthree\nunfinished", stderr: "two\n" });
      const stamped = (await engine.docker(["logs", "-t", "speaker"])).stdout.split("\n");
      expect(stamped[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z one$/);
      expect((await engine.docker(["logs", "--tail", "2", "speaker"])).stdout).toBe(
        "three\nunfinished",
      );
      expect((await engine.docker(["logs", "--tail", "0", "speaker"])).stdout).toBe("");
      const first = Date.parse((stamped[0] ?? "").split(" ")[0] ?? "");
      const middle = new Date(first + 600).toISOString();
      expect((await engine.docker(["logs", "--since", middle, "speaker"])).stdout).toBe(
        "three\nunfinished",
      );
      expect(await engine.docker(["logs", "--until", middle, "speaker"])).toMatchObject({
        stdout: "one\n",
        stderr: "two\n",
      });
      expect((await engine.docker(["logs", "--since", "1h", "speaker"])).stdout).toStartWith("one");
      expect((await engine.docker(["logs", "--until", "1h", "speaker"])).stdout).toBe("");
      await docker("rm", "speaker");
    });

    test("-f follows, over what is there already, until the container ends", async () => {
      const script = "echo first; read x; echo $x; exit 0";
      await docker("run", "-di", "--name", "followed", "busybox", "sh", "-c", script);
      const follower = engine.startClient("docker", ["logs", "-f", "followed"]);
      await follower.seen(/first/);
      const tail = engine.startClient("docker", ["logs", "-f", "--tail", "0", "followed"]);
      await engine.docker(["attach", "followed"], { stdin: "second\n" });
      expect(await follower.ended).toMatchObject({ status: 0, stdout: "first\nsecond\n" });
      expect((await tail.ended).status).toBe(0);
      await docker("rm", "followed");
    });

    test("long lines and bytes that are no text come back as they were", async () => {
      const script =
        "head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\377\\000\\r\\n'; head -c 20000 /dev/zero | tr '\\0' y";
      await docker("run", "--name", "odd", "busybox", "sh", "-c", script);
      const { bytes } = await engine.docker(["logs", "odd"]);
      const wanted = Buffer.concat([
        Buffer.alloc(100_000, "x"),
        Buffer.from([10, 255, 0, 13, 10]),
        Buffer.alloc(20_000, "y"),
      ]);
      expect(Buffer.compare(bytes, wanted)).toBe(0);
      await docker("rm", "odd");
    });

    test("of a terminal, of an unknown container", async () => {
      await docker("run", "-d", "-t", "--name", "tty", "busybox", "echo", "hi");
      await docker("wait", "tty");
      expect((await engine.docker(["logs", "tty"])).stdout).toBe("hi\r\n");
      expect(await status("logs", "no-such")).toBe(1);
      await docker("rm", "tty");
    });
  });

  describe("events", () => {
    test("a container's life, filtered, with a template, and again from the past", async () => {
      const since = String(Date.now() / 1000);
      const watcher = engine.startClient("docker", [
        "events",
        "--filter",
        "container=lively",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}}",
      ]);
      // It says nothing when it is ready: another container's life tells.
      await docker("run", "-d", "--name", "lively", "--label", "a=b", "busybox", "sleep", "1000");
      await docker("exec", "lively", "true");
      await docker("kill", "lively");
      await docker("wait", "lively");
      await docker("rm", "lively");
      const format = "{{.Type}} {{.Action}}";
      const past = await docker(
        "events",
        "--since",
        since,
        "--until",
        String(Date.now() / 1000 + 1),
        "--filter",
        "container=lively",
        "--format",
        format,
      );
      const actions = past.split("\n").map((line) => line.replace("container ", ""));
      expect(actions.filter((action) => !action.startsWith("exec_"))).toEqual([
        "create",
        "start",
        "kill",
        "die",
        "destroy",
      ]);
      expect(
        actions
          .filter((action) => action.startsWith("exec_"))
          .map((action) => action.split(":")[0]),
      ).toEqual(["exec_create", "exec_start", "exec_die"]);
      await watcher.seen(/destroy lively/);
      watcher.process.kill("SIGINT");
      await watcher.ended;
      const json = await docker(
        "events",
        "--since",
        since,
        "--until",
        String(Date.now() / 1000),
        "--filter",
        "event=die",
        "--format",
        "json",
      );
      const died = JSON.parse(json.split("\n")[0] ?? "") as {
        Actor: { Attributes: Record<string, string> };
      };
      expect(died.Actor.Attributes).toMatchObject({
        exitCode: "137",
        image: "busybox",
        name: "lively",
        a: "b",
      });
    });
  });
});
