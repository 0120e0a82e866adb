/** restart, pause, unpause, rename, top and port, through docker's own client and tiffin: what they do, print and exit with. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readFileSync } from "node:fs";
import { callApi, callOk } from "./engine-api.ts";
import { isCurrentDocker } from "./docker-client.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

const obstacle =
  engineObstacle ?? (Bun.which("docker") === null ? "there is no docker" : undefined);
if (obstacle !== undefined) console.log(`skipped: restart, pause, rename, top: ${obstacle}`);

setDefaultTimeout(60_000);

const COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done";

let engine: EngineFixture;

interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly Paused: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
  };
  readonly LogPath: string;
  readonly RestartCount: number;
}

const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
const statusOf = async (name: string) => (await inspect(name)).State.Status;

async function run(name: string, script: string, ...options: string[]): Promise<Inspected> {
  const network = options.includes("--network") ? [] : ["--network", "none"];
  const words = ["--name", name, ...network, ...options, "busybox", "sh", "-c", script];
  await engine.tiffinOk("run", "-d", ...words);
  return await inspect(name);
}

/** Both clients, for what must be the same with either. */
const clients = () => [engine.docker, engine.tiffin] as const;

async function events(name: string): Promise<string[]> {
  const { Id } = await inspect(name);
  const now = Math.ceil(Date.now() / 1000) + 1;
  const words = `events --since 0 --until ${now} --filter container=${Id} --format {{.Action}}`;
  const shown = await engine.dockerOk(...words.split(" "));
  return shown.split("\n");
}

describe.skipIf(obstacle !== undefined)("a container", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => {
    await engine.removeContainers();
    expect(await unownedResources(engine)).toEqual([]);
  });
  afterAll(async () => await engine.close());

  describe("that is paused", () => {
    test("stands still until it is unpaused, and shows it everywhere", async () => {
      for (const client of clients()) {
        const { LogPath } = await run("box", COUNTER);
        const lines = () => readFileSync(LogPath, "utf8").split("\n").length;
        await until("it counts", () => lines() > 3);
        expect(await client(["pause", "box"])).toMatchObject({ status: 0, stdout: "box\n" });
        const before = lines();
        expect((await inspect("box")).State).toMatchObject({ Status: "paused", Paused: true });
        const listed = await client(["ps", "--filter", "status=paused", "--format", "{{.Status}}"]);
        expect(listed.stdout).toMatch(/^Up .* \(Paused\)\n$/);
        const info = await client(["info", "--format", "{{.ContainersPaused}}"]);
        expect(info.stdout).toBe("1\n");
        expect((await client(["top", "box"])).stdout).toContain("sleep 0.02");
        expect(lines()).toBe(before);
        expect(await client(["unpause", "box"])).toMatchObject({ status: 0, stdout: "box\n" });
        await until("it counts on", () => lines() > before);
        expect(await statusOf("box")).toBe("running");
        expect(await events("box")).toEqual(["create", "start", "pause", "top", "unpause"]);
        await client(["rm", "-f", "box"]);
      }
    });

    test("cannot be paused, started, removed, attached to or executed in", async () => {
      const { Id } = await run("box", "sleep 1000");
      await engine.dockerOk("pause", "box");
      const refused: [string[], string][] = [
        [["pause", "box"], `Container ${Id} is already paused`],
        [["start", "box"], "Cannot start a paused container, try unpause instead"],
        [["exec", "box", "true"], "is paused, unpause the container before exec"],
        [["rm", "box"], "container is paused and must be unpaused first"],
        [["attach", "box"], "You cannot attach to a paused container, unpause it first"],
      ];
      for (const client of clients()) {
        for (const [args, words] of refused) {
          const { status, stderr } = await client(args);
          expect({ args, status }).toEqual({ args, status: 1 });
          expect(stderr).toContain(words);
        }
      }
      expect((await callApi(engine, "POST", "/containers/box/pause")).status).toBe(409);
      await engine.dockerOk("unpause", "box");
      const twice = await engine.docker(["unpause", "box"]);
      expect(twice.stderr).toContain(`Container ${Id} is not paused`);
    });

    test("ends at stop, kill and rm -f as one that runs", async () => {
      await run("polite", "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done");
      await until("it is up", async () => (await engine.tiffinOk("logs", "polite")) === "up");
      await engine.tiffinOk("pause", "polite");
      await engine.tiffinOk("stop", "-t", "20", "polite");
      expect((await inspect("polite")).State).toMatchObject({ Status: "exited", ExitCode: 7 });
      expect((await events("polite")).slice(-5)).toEqual([
        "pause",
        "kill",
        "unpause",
        "die",
        "stop",
      ]);
      await run("killed", "sleep 1000");
      await engine.tiffinOk("pause", "killed");
      await engine.tiffinOk("kill", "killed");
      expect((await inspect("killed")).State).toMatchObject({ Status: "exited", ExitCode: 137 });
      await run("removed", "sleep 1000");
      await engine.dockerOk("pause", "removed");
      await engine.dockerOk("rm", "-f", "removed");
      expect((await callApi(engine, "GET", "/containers/removed/json")).status).toBe(404);
    });

    test("goes on at a signal that means its end, as docker's, and not at another", async () => {
      await run("plain", "sleep 1000");
      await engine.dockerOk("pause", "plain");
      await engine.dockerOk("kill", "-s", "USR1", "plain");
      expect(await statusOf("plain")).toBe("running");
      await run("chosen", "sleep 1000", "--stop-signal", "USR2");
      await engine.dockerOk("pause", "chosen");
      await engine.dockerOk("kill", "-s", "USR1", "chosen");
      expect(await statusOf("chosen")).toBe("paused");
    });

    test("stays so over the engine's end", async () => {
      await run("box", COUNTER);
      await engine.tiffinOk("pause", "box");
      await engine.killEngine();
      await engine.startEngine();
      expect(await statusOf("box")).toBe("paused");
      await engine.tiffinOk("unpause", "box");
      expect(await statusOf("box")).toBe("running");
    });

    test("is not there when it does not run", async () => {
      await engine.dockerOk("create", "--name", "box", "busybox", "true");
      for (const client of clients()) {
        const { status, stderr } = await client(["pause", "box"]);
        expect({ status, stderr }).toMatchObject({ status: 1 });
        expect(stderr).toContain("is not running");
        expect((await client(["unpause", "no-such"])).stderr).toContain(
          "No such container: no-such",
        );
      }
    });
  });

  describe("that is restarted", () => {
    test("is another process of the same container, whatever it was before", async () => {
      for (const client of clients()) {
        const before = await run("box", "sleep 1000");
        expect(await client(["restart", "-t", "0", "box"])).toMatchObject({ stdout: "box\n" });
        const after = await inspect("box");
        expect(after.Id).toBe(before.Id);
        expect(after.State.Pid).not.toBe(before.State.Pid);
        await client(["stop", "-t", "0", "box"]);
        await client(["restart", "box"]);
        expect(await statusOf("box")).toBe("running");
        await client(["pause", "box"]);
        await client(["restart", "-t", "0", "box"]);
        expect(await statusOf("box")).toBe("running");
        expect((await events("box")).slice(0, 8)).toEqual(
          "create start kill kill die stop start restart".split(" "),
        );
        await client(["rm", "-f", "box"]);
      }
    });

    test("is asked with the signal and killed after the time", async () => {
      await run("box", "trap 'exit 9' USR1; echo up; while :; do sleep 0.05; done");
      await until("it is up", async () => (await engine.tiffinOk("logs", "box")) === "up");
      const waiting = engine.startClient("docker", ["wait", "box"]);
      await Bun.sleep(300);
      const isCurrent = isCurrentDocker("restart -s");
      const restart = ["restart", "-s", "USR1", "-t", "30", "box"];
      await (isCurrent ? engine.dockerOk(...restart) : engine.tiffinOk(...restart));
      expect((await waiting.ended).stdout).toBe("9\n");
      const bad = await engine[isCurrent ? "docker" : "tiffin"](["restart", "-s", "NOPE", "box"]);
      expect(bad.status).toBe(1);
      expect(bad.stderr).toMatch(/invalid signal: NOPE/i);
      expect(await statusOf("box")).toBe("running");
    });

    test("stays with --rm, and its root with it", async () => {
      await run("box", "[ -e /was ] && echo again; touch /was; sleep 1000", "--rm");
      await until("it made its file", async () => {
        return (await engine.tiffin(["exec", "box", "ls", "/was"])).status === 0;
      });
      await engine.tiffinOk("restart", "-t", "0", "box");
      await until("it ran again", async () => (await engine.tiffinOk("logs", "box")) === "again");
      await engine.tiffinOk("stop", "-t", "0", "box");
      await until("it is gone", async () => {
        return (await callApi(engine, "GET", "/containers/box/json")).status === 404;
      });
    });

    test("by a user begins to count anew, and does not wait for its policy's pause", async () => {
      await run("loop", "exit 3", "--restart", "always");
      await until("it backs off", async () => (await inspect("loop")).RestartCount > 4);
      await engine.dockerOk("restart", "loop");
      expect((await inspect("loop")).RestartCount).toBeLessThan(4);
    });

    test("tells why it cannot start", async () => {
      await engine.dockerOk("create", "--name", "box", "busybox", "no-such-program");
      for (const client of clients()) {
        const { status, stderr } = await client(["restart", "box"]);
        expect(status).toBe(1);
        expect(stderr).toContain("no-such-program");
      }
      expect((await engine.docker(["restart", "nope"])).stderr).toContain(
        "No such container: nope",
      );
    });
  });

  describe("that is renamed", () => {
    test("has the new name at once and for good, and the old one is free", async () => {
      for (const [client, name] of clients().map((each, index) => [each, `n${index}`] as const)) {
        const { Id } = await run("box", "sleep 1000");
        expect(await client(["rename", "box", name])).toMatchObject({ status: 0, stdout: "" });
        expect(await inspect(name)).toMatchObject({ Id, Name: `/${name}` });
        expect((await callApi(engine, "GET", "/containers/box/json")).status).toBe(404);
        await engine.killEngine();
        await engine.startEngine();
        expect(await inspect(name)).toMatchObject({ Id, Name: `/${name}` });
      }
      const renamed = await callOk<{ Name: string }[]>(engine, "GET", "/containers/json");
      expect(renamed.map((each) => (each as unknown as { Names: string[] }).Names[0])).toEqual([
        "/n1",
        "/n0",
      ]);
    });

    test("cannot have a name that is taken, its own, bad or empty", async () => {
      const { Id } = await run("one", "sleep 1000");
      await run("two", "sleep 1000");
      const refused: [string[], string][] = [
        [
          ["rename", "two", "one"],
          `Error when allocating new name: Conflict. The container name "/one" is already in use by container "${Id}". You have to remove (or rename) that container to be able to reuse that name.`,
        ],
        [["rename", "one", "one"], "Renaming a container with the same name as its current name"],
        [["rename", "one", "a b"], "Error when allocating new name: Invalid container name (a b)"],
        [["rename", "one", ""], "Neither old nor new names may be empty"],
        [["rename", "nope", "x1"], "No such container: nope"],
        [["rename", "one"], " 2 arguments"],
      ];
      for (const client of clients()) {
        for (const [args, words] of refused) {
          const { status, stderr } = await client(args);
          expect({ args, status }).toEqual({ args, status: 1 });
          expect(stderr).toContain(words);
        }
      }
    });

    test("is found by those that share its network", async () => {
      await run("one", "sleep 1000");
      await run("two", "sleep 1000", "--network", "container:one");
      await engine.dockerOk("rename", "one", "first");
      await engine.dockerOk("restart", "-t", "0", "two");
      const netns = (name: string) => engine.dockerOk("exec", name, "readlink", "/proc/1/ns/net");
      expect(await netns("two")).toBe(await netns("first"));
    });
  });

  describe("seen by top", () => {
    test("shows its processes as ps does, with its own users", async () => {
      await run("box", "sleep 1000 & sleep 2000", "-u", "1000");
      await until("both sleep", async () => (await engine.tiffinOk("top", "box")).includes("2000"));
      const pid = String((await inspect("box")).State.Pid);
      for (const client of clients()) {
        const { stdout } = await client(["top", "box"]);
        const [titles = "", first = "", ...others] = stdout.trimEnd().split("\n");
        expect(titles.split(/\s+/)).toEqual("UID PID PPID C STIME TTY TIME CMD".split(" "));
        expect(titles).toStartWith(`${"UID".padEnd(20)}PID`);
        expect(first.split(/\s+/)[1]).toBe(pid);
        expect(others.some((line) => line.endsWith("sleep 1000"))).toBe(true);
        const chosen = (await client(["top", "box", "-o", "uid,pid,args", "-p", pid])).stdout;
        expect(chosen.split(/\s+/).slice(0, 5)).toEqual(["UID", "PID", "COMMAND", "1000", pid]);
      }
    });

    test("is refused without a PID, with unknown options, and when it does not run", async () => {
      await run("box", "sleep 1000");
      for (const client of clients()) {
        const noPid = await client(["top", "box", "-o", "comm"]);
        expect(noPid).toMatchObject({ status: 1 });
        expect(noPid.stderr).toContain("Couldn't find PID field in ps output");
        expect((await client(["top", "box", "--nope"])).stderr).toContain("ps: error: unknown");
      }
      await engine.dockerOk("stop", "-t", "0", "box");
      const ended = await engine.docker(["top", "box"]);
      expect(ended).toMatchObject({ status: 1 });
      expect(ended.stderr).toContain("is not running");
    });
  });

  test("has no port that it does not publish", async () => {
    await run("box", "sleep 1000");
    const hasOwnWords = isCurrentDocker("the words of port");
    for (const client of clients()) {
      expect(await client(["port", "box"])).toMatchObject({ status: 0, stdout: "" });
      const one = await client(["port", "box", "80"]);
      expect(one).toMatchObject({ status: 1 });
      const bad = await client(["port", "box", "x"]);
      expect(bad.status).toBe(1);
      if (!hasOwnWords) continue;
      expect(one.stderr).toContain("Error: No public port '80' published for box");
      expect(bad.stderr).toContain(
        'Error: invalid port (x): strconv.ParseUint: parsing "x": invalid syntax',
      );
      expect((await client(["port"])).stderr).toContain("requires at least 1 and at most 2");
    }
  });
});
