/** Standard input and output through docker's client, pipes and hijacked connections: run, attach and exec. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skip: streams of docker's client: ${obstacle}`);

let engine: EngineFixture;
const docker = (...args: string[]) => engine.dockerOk(...args);
const status = async (...args: string[]) => (await engine.docker(args)).status;
const MANY = 20 * 1000 * 1000;

describe.skipIf(obstacle !== undefined)("docker", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterAll(async () => await engine.close());

  describe("run", () => {
    test("without -i the input is empty, with it the client's, to its end", async () => {
      const given = { stdin: "given\n" };
      expect((await engine.docker(["run", "--rm", "busybox", "cat"], given)).stdout).toBe("");
      expect((await engine.docker(["run", "--rm", "-i", "busybox", "cat"], given)).stdout).toBe(
        "given\n",
      );
    });

    test("the two outputs stay apart", async () => {
      const script = "for i in 1 2 3; do echo out; echo err >&2; done";
      const { stdout, stderr } = await engine.docker([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        script,
      ]);
      expect({ stdout, stderr }).toEqual({ stdout: "out\nout\nout\n", stderr: "err\nerr\nerr\n" });
      expect(
        (await engine.docker(["run", "--rm", "-a", "stderr", "busybox", "sh", "-c", script]))
          .stdout,
      ).toBe("");
    });

    test("the end of the input reaches the program, whose output goes on", async () => {
      const client = engine.startClient("docker", [
        "run",
        "--rm",
        "-i",
        "busybox",
        "sh",
        "-c",
        "cat; echo end; sleep 0.3; echo later",
      ]);
      client.write("some");
      await client.seen(/some/);
      client.endInput();
      expect(await client.ended).toMatchObject({ status: 0, stdout: "someend\nlater\n" });
    });

    test("20 MB go in and come out bit for bit", async () => {
      const sent = randomBytes(MANY);
      const { bytes, status: code } = await engine.docker(["run", "--rm", "-i", "busybox", "cat"], {
        stdin: sent,
      });
      expect(code).toBe(0);
      expect(bytes.length).toBe(sent.length);
      expect(Buffer.compare(bytes, sent)).toBe(0);
    });

    test("a program that reads nothing does not hold up the client", async () => {
      const ran = await engine.docker(
        ["run", "--rm", "-i", "busybox", "sh", "-c", "exec <&-; echo done; exit 5"],
        { stdin: randomBytes(1_000_000) },
      );
      expect(ran).toMatchObject({ status: 5, stdout: "done\n" });
    });

    test("nothing of a big output is lost when the container ends at once and the client is slow", async () => {
      const script = `head -c ${MANY} /dev/zero | tr '\\\\0' z; echo over >&2; exit 7`;
      const slow = engine.start("sh", [
        "-c",
        `{ docker run --rm busybox sh -c "${script}"; echo status $? >&2; } | (sleep 1.5; tr -d z | wc -c; echo)`,
      ]);
      const counted = engine.start("sh", [
        "-c",
        `docker run --rm busybox sh -c "${script}" | (sleep 1; wc -c)`,
      ]);
      const { stderr } = await slow.ended;
      expect(stderr).toContain("over");
      expect(stderr).toContain("status 7");
      expect((await counted.ended).stdout.trim()).toBe(String(MANY));
    });

    test("a client whose output is closed does not hold up the container", async () => {
      const script =
        "docker run --name pipe busybox sh -c 'i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done' | head -1";
      expect((await engine.start("sh", ["-c", script]).ended).stdout).toBe("line 0\n");
      expect(await docker("wait", "pipe")).toMatch(/^\d+$/);
      expect((await engine.docker(["logs", "--tail", "1", "pipe"])).stdout).toBe("line 19999\n");
      await docker("rm", "pipe");
    });

    test("signals of the client reach the program", async () => {
      const script = "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.1; done";
      const client = engine.startClient("docker", ["run", "--rm", "busybox", "sh", "-c", script]);
      await client.seen(/up/);
      client.process.kill("SIGTERM");
      expect(await client.ended).toMatchObject({ status: 5, stdout: "up\ngot\n" });
    });

    test("-d prints the id; --cidfile keeps it; -i without a client waits for one", async () => {
      const file = `${engine.directory}/cid`;
      const id = await docker(
        "run",
        "-di",
        "--name",
        "waits",
        "--cidfile",
        file,
        "busybox",
        "sh",
        "-c",
        "read x; echo got $x",
      );
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(await Bun.file(file).text()).toBe(id);
      expect(await docker("inspect", "-f", "{{.State.Running}}", "waits")).toBe("true");
      expect((await engine.docker(["attach", "waits"], { stdin: "it\n" })).stdout).toBe("got it\n");
      await docker("rm", "waits");
    });
  });

  describe("attach", () => {
    test("several clients see the same; one of them writes; the status is the container's", async () => {
      await docker(
        "run",
        "-di",
        "--name",
        "shared",
        "busybox",
        "sh",
        "-c",
        "while read x; do [ $x = end ] && exit 4; echo saw $x; done",
      );
      const clients = [1, 2, 3].map((index) =>
        engine.startClient("docker", ["attach", ...(index === 3 ? ["--no-stdin"] : []), "shared"]),
      );
      // Nothing tells that a client is attached but that it sees what the others send.
      const [first, second, third] = clients;
      if (!first || !second || !third) throw new Error("three clients");
      let round = 0;
      await until("all see it", async () => {
        first.write(`x${round++}\n`);
        await Bun.sleep(100);
        return clients.every((client) => client.stdout().includes("saw"));
      });
      second.write("other\n");
      await Promise.all(clients.map((client) => client.seen(/saw other/)));
      second.write("end\n");
      expect(await Promise.all(clients.map(async (client) => (await client.ended).status))).toEqual(
        [4, 4, 4],
      );
      await docker("rm", "shared");
    });

    test("signals go on to the container, not with --sig-proxy=false", async () => {
      const script = "trap 'echo got; exit 5' TERM; while :; do echo up; sleep 0.1; done";
      await docker("run", "-d", "--name", "proxied", "busybox", "sh", "-c", script);
      const quiet = engine.startClient("docker", ["attach", "--sig-proxy=false", "proxied"]);
      await quiet.seen(/up/);
      quiet.process.kill("SIGTERM");
      // Whether the signal ends the client itself is its own affair, and differs between versions.
      await Bun.sleep(300);
      quiet.process.kill("SIGKILL");
      await quiet.ended;
      expect(quiet.stdout()).not.toContain("got");
      expect(await docker("inspect", "-f", "{{.State.Running}}", "proxied")).toBe("true");
      const client = engine.startClient("docker", ["attach", "proxied"]);
      await client.seen(/up/);
      client.process.kill("SIGTERM");
      expect((await client.ended).status).toBe(5);
      await docker("rm", "proxied");
    });

    test("to one that does not run", async () => {
      await docker("create", "--name", "still", "busybox", "true");
      const { status: code, stderr } = await engine.docker(["attach", "still"]);
      expect(code).toBe(1);
      expect(stderr).toContain("cannot attach to a stopped container");
      await docker("rm", "still");
    });
  });

  describe("exec", () => {
    beforeAll(async () => {
      const options = [
        "-e",
        "OF_RUN=1",
        "--hostname",
        "tin",
        "--memory",
        "64m",
        "--ulimit",
        "nofile=300:300",
      ];
      await docker(
        "run",
        "-d",
        "--name",
        "host",
        ...options,
        "-v",
        `${engine.directory}:/bound:ro`,
        "busybox",
        "sleep",
        "1000",
      );
    });
    afterAll(async () => void (await docker("rm", "-f", "host")));

    test("exit codes: the program's, of a signal, 126 and 127, and 1 when it does not run", async () => {
      expect(await status("exec", "host", "true")).toBe(0);
      expect(await status("exec", "host", "sh", "-c", "exit 33")).toBe(33);
      expect(await status("exec", "host", "sh", "-c", "kill -9 $$")).toBe(137);
      expect(await status("exec", "host", "/etc/passwd")).toBe(126);
      expect(await status("exec", "host", "no-such-program")).toBe(127);
      expect(await status("exec", "no-such", "true")).toBe(1);
      await docker("create", "--name", "still", "busybox", "true");
      const { status: code, stderr } = await engine.docker(["exec", "still", "true"]);
      expect(code).toBe(1);
      expect(stderr).toContain("is not running");
      await docker("rm", "still");
    });

    test("it is in all of the container's namespaces and cgroups, with its confinement", async () => {
      const script =
        "for n in pid mnt uts ipc net user cgroup; do readlink /proc/$1/ns/$n; done; cat /proc/$1/cgroup; grep -E '^(Cap|Seccomp:|NoNew)' /proc/$1/status; ulimit -n; hostname; echo $OF_RUN";
      const seen = async (pid: string) =>
        await docker("exec", "host", "sh", "-c", script, "sh", pid);
      expect(await seen("self")).toBe(await seen("1"));
      expect(await seen("self")).toContain("\n300\ntin\n1");
    });

    test("-e, -w, -u, --privileged", async () => {
      expect(await docker("exec", "-e", "B=2", "host", "sh", "-c", "echo $OF_RUN $B")).toBe("1 2");
      expect(await docker("exec", "-w", "/tmp", "host", "pwd")).toBe("/tmp");
      expect(await docker("exec", "-u", "ann", "host", "sh", "-c", "id -un; echo $HOME")).toBe(
        "ann\n/home/ann",
      );
      expect(await docker("exec", "-u", "1001:50", "host", "id", "-g")).toBe("50");
      expect(await status("exec", "-u", "eve", "host", "id")).not.toBe(0);
      const caps = await docker(
        "exec",
        "--privileged",
        "host",
        "grep",
        "CapEff",
        "/proc/self/status",
      );
      expect(BigInt(`0x${caps.split("\t")[1]}`)).toBeGreaterThan(0xa80425fbn);
    });

    test("-i: input, its end, 20 MB bit for bit", async () => {
      const sent = randomBytes(MANY);
      const { bytes } = await engine.docker(["exec", "-i", "host", "cat"], { stdin: sent });
      expect(Buffer.compare(bytes, sent)).toBe(0);
      expect((await engine.docker(["exec", "host", "cat"], { stdin: "x" })).stdout).toBe("");
      const ran = await engine.docker(["exec", "-i", "host", "sh", "-c", "wc -c; echo err >&2"], {
        stdin: "12345",
      });
      expect(ran).toMatchObject({ status: 0, stdout: "5\n", stderr: "err\n" });
    });

    test("-d leaves it running", async () => {
      expect(
        await docker("exec", "-d", "host", "sh", "-c", "touch /tmp/begun; exec sleep 800"),
      ).toBe("");
      await until(
        "it has begun",
        async () => (await status("exec", "host", "test", "-e", "/tmp/begun")) === 0,
      );
      expect(await docker("exec", "host", "ps", "-o", "args")).toContain("sleep 800");
    });

    test("many at once", async () => {
      const runs = Array.from({ length: 8 }, (_, index) =>
        docker("exec", "host", "sh", "-c", `sleep 0.1; echo ${index}`),
      );
      expect(await Promise.all(runs)).toEqual(["0", "1", "2", "3", "4", "5", "6", "7"]);
    });

    test("an exec ends with its container", async () => {
      await docker("run", "-d", "--name", "brief", "busybox", "sleep", "1000");
      const client = engine.startClient("docker", [
        "exec",
        "brief",
        "sh",
        "-c",
        "echo up; sleep 1000",
      ]);
      await client.seen(/up/);
      await docker("kill", "brief");
      expect((await client.ended).status).toBe(137);
      await docker("rm", "brief");
    });
  });
});
