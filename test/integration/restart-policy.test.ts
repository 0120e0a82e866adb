/** Restart policies with docker's client, over ends of the engine and of the machine. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openDatabase } from "../../src/base/database.ts";
import { callOk } from "./engine-api.ts";
import { isCurrentDocker } from "./docker-client.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: restart policies: ${engineObstacle}`);

const TIMEOUT_MS = 60_000;
const CRASHES = "exit 3";
const RUNS = "trap 'exit 0' TERM; while :; do sleep 0.05; done";

interface Inspected {
  readonly RestartCount: number;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Restarting: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
  };
}

let engine: EngineFixture;

const command = (words: string, ...more: string[]) => [...words.split(" "), ...more];
const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
const statusOf = async (name: string) => (await inspect(name)).State.Status;
const reaches = (name: string, status: string) =>
  until(`${name} is ${status}`, async () => (await statusOf(name)) === status);
/** Run in the background with docker's client. */
const run = (name: string, policy: string, script: string, ...more: string[]) =>
  engine.dockerOk(
    ...command(`run -d --name ${name} --network none --restart ${policy}`, ...more),
    ...command("busybox sh -c", script),
  );
/** Some restarts on, where the pause is long enough to do something in it: 1.6 s after five, 6.4 s after seven. */
const backsOff = (name: string, restarts = 5) =>
  until(`${name} waits for its next start`, async () => {
    const { RestartCount, State } = await inspect(name);
    return RestartCount >= restarts && State.Restarting;
  });

/** As after the machine went down: nothing runs, /run is empty, and the boot has another name. */
async function reboot(pids: readonly number[]): Promise<void> {
  await engine.killEngine();
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until("all processes are gone", () => pids.every((pid) => !isAlive(pid)));
  // Their supervisors end with them; what these recorded went with /run.
  await Bun.sleep(300);
  for (const name of readdirSync(engine.run)) {
    rmSync(join(engine.run, name), { recursive: true, force: true });
  }
  const database = openDatabase(join(engine.root, "state.db"));
  database.execute("UPDATE boot SET id = 'the boot before'");
  database.close();
  await engine.startEngine();
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe.skipIf(engineObstacle !== undefined)("a restart policy", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterEach(async () => await engine.removeContainers(), TIMEOUT_MS);

  afterAll(async () => await engine.close(), TIMEOUT_MS);

  test(
    "on-failure:2 restarts twice and gives up; success ends it",
    async () => {
      await run("bad", "on-failure:2", CRASHES);
      await run("good", "on-failure", "exit 0");
      await until("it has given up", async () => {
        const { RestartCount, State } = await inspect("bad");
        return RestartCount === 2 && State.Status === "exited";
      });
      await reaches("good", "exited");
      expect((await inspect("good")).RestartCount).toBe(0);
      const starts = await engine.dockerOk(
        ...command(`events --since 0 --until ${Math.ceil(Date.now() / 1000) + 1}`),
        ...command("--filter container=bad --format {{.Action}}"),
      );
      expect(starts.split("\n")).toEqual(command("create start die start die start die"));
    },
    TIMEOUT_MS,
  );

  test(
    "shows a crash loop in ps, and refuses what needs a running container",
    async () => {
      await run("loop", "always", CRASHES);
      await backsOff("loop", 7);
      expect(await engine.dockerOk("ps", "--format", "{{.Status}}")).toMatch(
        /^Restarting \(3\) (Less than a|\d+) seconds? ago$/,
      );
      expect(await engine.dockerOk("ps", "-q", "--filter", "status=restarting")).not.toBe("");
      const refused: [string[], RegExp][] = [
        [["rm", "loop"], /container is restarting: stop the container before removing/],
        [["exec", "loop", "true"], /is restarting, wait until the container is running/],
      ];
      for (const [args, words] of refused) {
        expect((await engine.docker(args)).stderr).toMatch(words);
        expect((await engine.tiffin(args)).stderr).toMatch(words);
      }
      // What restarts is started already.
      await engine.dockerOk("start", "loop");
    },
    TIMEOUT_MS,
  );

  test(
    "stop, kill and rm -f end the pause before a restart",
    async () => {
      for (const verb of [["stop"], ["kill"], ["rm", "-f"]]) {
        await run("loop", "always", CRASHES);
        await backsOff("loop");
        // Its headers come once the wait is registered.
        const url = "http://tiffin/containers/loop/wait";
        const waiting = await fetch(url, { unix: engine.socket, method: "POST" });
        if (verb[0] === "kill") await engine.tiffinOk(...verb, "loop");
        else await engine.dockerOk(...verb, "loop");
        expect(await waiting.json()).toEqual({ StatusCode: 3 });
        if (verb[0] === "rm") continue;
        const { State, RestartCount } = await inspect("loop");
        expect(State).toMatchObject({ Status: "exited", Running: false, ExitCode: 3 });
        await Bun.sleep(100);
        expect((await inspect("loop")).RestartCount).toBe(RestartCount);
        await engine.dockerOk("rm", "loop");
      }
    },
    TIMEOUT_MS,
  );

  test(
    "does not start again what was stopped, killed, or removed while it ran",
    async () => {
      await run("stopped", "always", RUNS);
      await run("killed", "unless-stopped", RUNS);
      await engine.dockerOk("stop", "stopped");
      await engine.dockerOk("kill", "killed");
      await Bun.sleep(300);
      expect(await statusOf("stopped")).toBe("exited");
      expect(await statusOf("killed")).toBe("exited");
    },
    TIMEOUT_MS,
  );

  test(
    "of the command line conflicts with --rm, and bad ones are refused in docker's words",
    async () => {
      const refusals: [string[], string][] = [
        [["--rm", "--restart", "always"], "cannot specify both --restart and --rm"],
        [["--restart", "sometimes"], "unknown policy 'sometimes'"],
        [["--restart", "always:3"], "maximum retry count can only be used with 'on-failure'"],
        [["--restart", "on-failure:x"], "maximum retry count must be an integer"],
        [["--restart", "on-failure:-1"], "maximum retry count cannot be negative"],
      ];
      const hasOwnWords = isCurrentDocker("the words for --restart with --rm, and for bad ones");
      for (const [options, words] of refusals) {
        const args = ["create", ...options, "busybox", "true"];
        const [theirs, ours] = [await engine.docker(args), await engine.tiffin(args)];
        expect(theirs.status).not.toBe(0);
        expect(ours.status).not.toBe(0);
        expect(ours.stderr).toContain(words);
        if (hasOwnWords) expect(theirs.stderr).toContain(words);
      }
      expect(await engine.dockerOk("ps", "-aq")).toBe("");
    },
    TIMEOUT_MS,
  );

  test(
    "holds over kill -9 of the engine: in a pause, and for an end that no engine saw",
    async () => {
      await run("loop", "always", CRASHES);
      await run("lonely", "always", RUNS);
      await backsOff("loop");
      const before = await inspect("loop");
      const { Pid } = (await inspect("lonely")).State;
      await engine.killEngine();
      process.kill(Pid, "SIGKILL");
      await engine.startEngine();
      const after = await inspect("loop");
      expect(after.State.Status).not.toBe("exited");
      expect(after.RestartCount).toBeGreaterThanOrEqual(before.RestartCount);
      await until("lonely runs again", async () => {
        const { RestartCount, State } = await inspect("lonely");
        return State.Status === "running" && RestartCount === 1 && State.Pid !== Pid;
      });
      await until("the loop goes on", async () => {
        return (await inspect("loop")).RestartCount > after.RestartCount;
      });
    },
    TIMEOUT_MS,
  );

  test(
    "always brings back what was stopped when an engine starts; unless-stopped does not",
    async () => {
      for (const policy of ["always", "unless-stopped", "on-failure", "no"]) {
        await run(policy, policy, RUNS);
        await engine.dockerOk("stop", policy);
      }
      await engine.dockerOk("create", "--name", "fresh", "--restart", "always", "busybox", "true");
      await engine.killEngine();
      await engine.startEngine();
      await reaches("always", "running");
      expect((await inspect("always")).RestartCount).toBe(0);
      for (const policy of ["unless-stopped", "on-failure", "no"]) {
        expect(await statusOf(policy)).toBe("exited");
      }
      expect(await statusOf("fresh")).toBe("created");
    },
    TIMEOUT_MS,
  );

  test(
    "a stop that kill -9 of the engine cut off is a stop all the same",
    async () => {
      await run("half", "unless-stopped", RUNS);
      await engine.killEngine();
      await engine.startEngine({ TIFFIN_FAULT: "stop:signalled" });
      await engine.docker(["stop", "half"]);
      expect(await engine.engineEnded()).toBe("SIGKILL");
      await engine.startEngine();
      await reaches("half", "exited");
      await Bun.sleep(300);
      expect(await statusOf("half")).toBe("exited");
    },
    TIMEOUT_MS,
  );

  for (const fault of ["restart:due", "exit:recorded", "exit:released", "start:launched"]) {
    test(
      `an engine that is killed at ${fault} loses no restart`,
      async () => {
        await engine.killEngine();
        const after = fault === "start:launched" ? { TIFFIN_FAULT_AFTER: "1" } : {};
        await engine.startEngine({ TIFFIN_FAULT: fault, ...after });
        const loop = command("run -d --name loop --network none --restart always busybox sh -c");
        await engine.docker([...loop, CRASHES]);
        expect(await engine.engineEnded()).toBe("SIGKILL");
        await engine.startEngine();
        const before = (await inspect("loop")).RestartCount;
        await until("it restarts", async () => (await inspect("loop")).RestartCount > before);
      },
      TIMEOUT_MS,
    );
  }

  test(
    "after a reboot the state says so, and what must come back does",
    async () => {
      const policies = ["always", "unless-stopped", "on-failure", "no"];
      for (const policy of policies) await run(policy, policy, RUNS);
      await run("loop", "always", CRASHES);
      await run("stopped", "unless-stopped", RUNS);
      await engine.dockerOk("stop", "stopped");
      await backsOff("loop");
      const before = new Map<string, Inspected>();
      for (const policy of policies) before.set(policy, await inspect(policy));
      await reboot([...before.values()].map(({ State }) => State.Pid));
      const ended = (await inspect("no")).State;
      expect(ended).toMatchObject({
        Status: "exited",
        ExitCode: 255,
        Error: "The machine went down while the container ran",
        Pid: 0,
      });
      expect(ended.FinishedAt >= ended.StartedAt).toBe(true);
      for (const policy of ["always", "unless-stopped", "on-failure"]) {
        await reaches(policy, "running");
        const { StartedAt, Error: error } = (await inspect(policy)).State;
        expect(StartedAt).not.toBe(before.get(policy)?.State.StartedAt ?? "");
        expect(error).toBe("");
      }
      expect(await statusOf("stopped")).toBe("exited");
      const { RestartCount } = await inspect("loop");
      await until("the loop goes on", async () => {
        return (await inspect("loop")).RestartCount > RestartCount;
      });
    },
    TIMEOUT_MS,
  );
});
