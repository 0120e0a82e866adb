/** Health checks and what follows them, with docker's client and tiffin, over kill -9 of the engine. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: health checks: ${engineObstacle}`);

const TIMEOUT_MS = 60_000;
/** Ends at once at SIGTERM. */
const RUNS = "trap 'exit 7' TERM; while :; do sleep 0.05; done";
/** Serves /tmp/www/ready on port 8080 once it is there. */
const SERVES = `mkdir -p /tmp/www; httpd -p 127.0.0.1:8080 -h /tmp/www; ${RUNS}`;

interface Result {
  readonly Start: string;
  readonly End: string;
  readonly ExitCode: number;
  readonly Output: string;
}

interface Inspected {
  readonly Id: string;
  readonly RestartCount: number;
  readonly ExecIDs: string[] | null;
  readonly State: {
    readonly Status: string;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly Health?: {
      readonly Status: string;
      readonly FailingStreak: number;
      readonly Log: readonly Result[];
    };
  };
  readonly Config: { readonly Healthcheck?: object };
  readonly HostConfig: { readonly Annotations?: Readonly<Record<string, string>> };
}

let engine: EngineFixture;

const command = (words: string, ...more: string[]) => [...words.split(" "), ...more];
const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
const healthOf = async (name: string) => (await inspect(name)).State.Health;
const turns = (name: string, status: string) =>
  until(`${name} is ${status}`, async () => (await healthOf(name))?.Status === status);
const statusOf = async (name: string) => (await inspect(name)).State.Status;

function run(client: "docker" | "tiffin", name: string, options: string[], script: string) {
  const args = [
    ...command(`run -d --name ${name} --network none --stop-timeout 1`, ...options),
    ...command("busybox sh -c", script),
  ];
  return client === "docker" ? engine.dockerOk(...args) : engine.tiffinOk(...args);
}

/** Actions of a container's events so far, without the commands of its checks. */
async function actionsOf(name: string): Promise<string[]> {
  const end = Math.ceil(Date.now() / 1000) + 1;
  const told = await engine.dockerOk(
    ...command(`events --since 0 --until ${end} --filter container=${name}`),
    ...command("--format {{.Action}}"),
  );
  return told.split("\n").map((action) => action.replace(/^(exec_\w+): .*/, "$1"));
}

describe.skipIf(engineObstacle !== undefined)("a health check", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterEach(async () => await engine.removeContainers(), TIMEOUT_MS);

  afterAll(async () => await engine.close(), TIMEOUT_MS);

  test(
    "by command goes from starting to healthy to unhealthy and back, in inspect, ps and events",
    async () => {
      const check = "echo looked; test -e /tmp/ok";
      const times = command("--health-interval 300ms --health-retries 2 --health-start-period 1m");
      const more = ["--health-start-interval", "300ms"];
      await run("docker", "web", ["--health-cmd", check, ...times, ...more], RUNS);
      const status = () => engine.dockerOk("ps", "--format", "{{.Status}}");
      expect(await status()).toEndWith(" (health: starting)");
      await until("failures of the start are told", async () => {
        return ((await healthOf("web"))?.Log ?? []).length > 1;
      });
      expect(await healthOf("web")).toMatchObject({ Status: "starting", FailingStreak: 0 });
      await engine.dockerOk("exec", "web", "touch", "/tmp/ok");
      await turns("web", "healthy");
      expect(await status()).toEndWith(" (healthy)");
      expect(await engine.tiffinOk("ps", "-q", "--filter", "health=healthy")).not.toBe("");
      expect(await engine.tiffinOk("ps", "-q", "--filter", "health=none")).toBe("");
      await engine.dockerOk("exec", "web", "rm", "/tmp/ok");
      await turns("web", "unhealthy");
      expect(await status()).toEndWith(" (unhealthy)");
      const health = await healthOf("web");
      expect(health?.FailingStreak).toBeGreaterThanOrEqual(2);
      expect(health?.Log.length).toBe(5);
      expect(health?.Log.at(-1)).toMatchObject({ ExitCode: 1, Output: "looked\n" });
      expect((await inspect("web")).Config.Healthcheck).toEqual({
        Test: ["CMD-SHELL", check],
        Interval: 300_000_000,
        StartPeriod: 60_000_000_000,
        StartInterval: 300_000_000,
        Retries: 2,
      });
      const actions = await actionsOf("web");
      expect(actions.filter((action) => action.startsWith("health"))).toEqual([
        "health_status: healthy",
        "health_status: unhealthy",
      ]);
      for (const action of ["exec_create", "exec_start", "exec_die"]) {
        expect(actions).toContain(action);
      }
      // No trace of the execs is kept.
      expect(readdirSync(join(engine.run, "processes")).length).toBeLessThanOrEqual(2);
      await engine.dockerOk("stop", "web");
      expect(await healthOf("web")).toMatchObject({ Status: "unhealthy" });
      // The two of this test, none of the checks.
      expect((await inspect("web")).ExecIDs).toHaveLength(2);
      await engine.dockerOk("start", "web");
      expect(await healthOf("web")).toMatchObject({ Status: "starting", FailingStreak: 0 });
    },
    TIMEOUT_MS,
  );

  test(
    "that hangs, or cannot run, fails and leaves nothing running",
    async () => {
      const quick = command("--health-interval 200ms --health-retries 1 --health-timeout 300ms");
      await run("docker", "hangs", ["--health-cmd", "echo so; sleep 1000", ...quick], RUNS);
      await callOk(engine, "POST", "/containers/create?name=lacks", {
        Image: "busybox",
        Cmd: ["sh", "-c", RUNS],
        Healthcheck: { Test: ["CMD", "/nothing"], Interval: 200_000_000, Retries: 1 },
        HostConfig: { NetworkMode: "none" },
      });
      await engine.dockerOk("start", "lacks");
      await turns("hangs", "unhealthy");
      await turns("lacks", "unhealthy");
      expect((await healthOf("hangs"))?.Log[0]).toMatchObject({
        ExitCode: -1,
        Output: "Health check exceeded timeout (300ms): so\n",
      });
      expect((await healthOf("lacks"))?.Log[0]).toMatchObject({
        ExitCode: -1,
        Output: expect.stringContaining("/nothing"),
      });
    },
    TIMEOUT_MS,
  );

  test(
    "of the image holds, unless it is switched off or another one is given",
    async () => {
      const args = command("import --change", 'HEALTHCHECK --interval=300ms CMD ["true"]');
      await engine.tiffinOk(...args, join(engine.directory, "busybox.tar"), "checked:latest");
      const create = (name: string, ...options: string[]) =>
        engine.dockerOk("run", "-d", "--name", name, ...options, "checked", "sh", "-c", RUNS);
      await create("own", "--network", "none");
      await create("off", "--network", "none", "--no-healthcheck");
      await create("other", "--network", "none", "--health-cmd", "exit 4", "--health-retries", "1");
      await turns("own", "healthy");
      await turns("other", "unhealthy");
      expect((await inspect("off")).State.Health).toBe(undefined);
      expect(await engine.dockerOk("ps", "--filter", "health=none", "--format", "{{.Names}}")).toBe(
        "off",
      );
      await engine.removeContainers();
      await engine.tiffinOk("rmi", "checked");
    },
    TIMEOUT_MS,
  );

  test(
    "by HTTP and by TCP reaches what listens on the container's loopback address alone",
    async () => {
      const quick = command("--health-interval 200ms --health-retries 1");
      await run("tiffin", "http", ["--health-http", ":8080/ready", ...quick], SERVES);
      await run("tiffin", "tcp", ["--health-tcp", "8080", ...quick], SERVES);
      const annotation = ["--annotation", "dev.tiffin.health-tcp=8081"];
      await run("docker", "nobody", [...annotation, ...quick], SERVES);
      await turns("tcp", "healthy");
      await turns("http", "unhealthy");
      await turns("nobody", "unhealthy");
      expect((await healthOf("http"))?.Log.at(-1)?.Output).toStartWith("HTTP 404 Not Found");
      expect((await healthOf("nobody"))?.Log[0]?.Output).toBe(
        "Cannot connect to localhost:8081: ECONNREFUSED",
      );
      await engine.dockerOk("exec", "http", "sh", "-c", "echo yes > /tmp/www/ready");
      await turns("http", "healthy");
      const { HostConfig, Config } = await inspect("http");
      expect(HostConfig.Annotations).toEqual({ "dev.tiffin.health-http": ":8080/ready" });
      expect(Config.Healthcheck).toEqual({ Interval: 200_000_000, Retries: 1 });
      // No process of ours was ever in there.
      expect(await actionsOf("tcp")).toEqual(["create", "start", "health_status: healthy"]);
    },
    TIMEOUT_MS,
  );

  test(
    "goes on over kill -9 of the engine, also in the middle of a check",
    async () => {
      const times = command("--health-interval 300ms --health-retries 3");
      await run("docker", "web", ["--health-cmd", "test -e /tmp/ok", ...times], RUNS);
      await turns("web", "unhealthy");
      const before = await healthOf("web");
      await engine.killEngine();
      await engine.startEngine({ TIFFIN_FAULT: "exec:running", TIFFIN_FAULT_AFTER: "5" });
      expect(await engine.engineEnded()).toBe("SIGKILL");
      await engine.startEngine();
      const after = await healthOf("web");
      expect(after?.Status).toBe("unhealthy");
      expect(after?.FailingStreak).toBeGreaterThanOrEqual(before?.FailingStreak ?? 99);
      await engine.dockerOk("exec", "web", "touch", "/tmp/ok");
      await turns("web", "healthy");
      const { Pid } = (await inspect("web")).State;
      expect(existsSync(`/proc/${Pid}`)).toBe(true);
      await until("no exec of a check is left over", async () => {
        return ((await inspect("web")).ExecIDs ?? []).length <= 2;
      });
    },
    TIMEOUT_MS,
  );

  test(
    "--on-unhealthy restart, stop and kill do so, and the state says why",
    async () => {
      const sick = command("--health-tcp 1 --health-interval 200ms --health-retries 1");
      await run("tiffin", "restarts", [...sick, "--on-unhealthy", "restart"], RUNS);
      await run(
        "tiffin",
        "stops",
        [...sick, ...command("--on-unhealthy stop --restart always")],
        RUNS,
      );
      await run("tiffin", "killed", [...sick, "--on-unhealthy", "kill"], RUNS);
      await until("one restarts again and again", async () => {
        return (await inspect("restarts")).RestartCount >= 2;
      });
      await until("the others have ended", async () => {
        return (await statusOf("stops")) === "exited" && (await statusOf("killed")) === "exited";
      });
      expect((await inspect("stops")).State).toMatchObject({
        ExitCode: 7,
        Error: "It was unhealthy, and stopped",
      });
      expect((await inspect("killed")).State).toMatchObject({
        ExitCode: 137,
        Error: "It was unhealthy, and killed",
      });
      await engine.dockerOk("stop", "restarts");
      await Bun.sleep(300);
      expect(await statusOf("restarts")).toBe("exited");
    },
    TIMEOUT_MS,
  );

  for (const fault of ["health:recorded", "stop:recorded", "stop:signalled"]) {
    test(
      `an engine that is killed at ${fault} leaves no unhealthy container running`,
      async () => {
        await engine.killEngine();
        await engine.startEngine({ TIFFIN_FAULT: fault });
        const sick = command("--health-tcp 1 --health-interval 200ms --health-retries 1");
        await run("tiffin", "sick", [...sick, "--on-unhealthy", "stop"], RUNS);
        expect(await engine.engineEnded()).toBe("SIGKILL");
        await engine.startEngine();
        await until("it has stopped", async () => (await statusOf("sick")) === "exited");
        expect((await inspect("sick")).State.Error).toBe("It was unhealthy, and stopped");
      },
      TIMEOUT_MS,
    );
  }

  test(
    "--timeout ends a run that takes too long, also one that another engine started",
    async () => {
      await run("tiffin", "short", ["--timeout", "500ms"], RUNS);
      await run("tiffin", "long", ["--timeout", "2s"], RUNS);
      await run("tiffin", "again", command("--timeout 300ms --restart on-failure:1"), RUNS);
      await engine.killEngine();
      await engine.startEngine();
      for (const name of ["short", "long"]) {
        await until(`${name} has ended`, async () => (await statusOf(name)) === "exited");
        expect((await inspect(name)).State).toMatchObject({
          ExitCode: 7,
          Error: "It ran for longer than its --timeout",
        });
      }
      await until("its second run has ended too", async () => {
        const { RestartCount, State } = await inspect("again");
        return RestartCount === 1 && State.Status === "exited";
      });
    },
    TIMEOUT_MS,
  );

  test(
    "with bad values is refused, in docker's words where it has some",
    async () => {
      const refusals: [string[], string][] = [
        [["--health-cmd", "x", "--no-healthcheck"], "--no-healthcheck conflicts with --health-*"],
        [["--health-cmd", "x", "--health-interval", "1us"], "cannot be less than 1ms"],
        [["--health-cmd", "x", "--health-retries", "-1"], "--health-retries cannot be negative"],
        [["--annotation", "dev.tiffin.health-http=x"], "Cannot check --health-http"],
        [["--annotation", "dev.tiffin.on-unhealthy=cry"], 'invalid --on-unhealthy "cry"'],
        [["--annotation", "dev.tiffin.timeout=-1"], "want seconds"],
      ];
      for (const [options, words] of refusals) {
        const args = ["create", ...options, "busybox", "true"];
        for (const ran of [await engine.docker(args), await engine.tiffin(args)]) {
          expect(ran.stderr).toContain(words);
          expect(ran.status).not.toBe(0);
        }
      }
      const own = ["create", "--health-tcp", "1", "--health-http", "1", "busybox", "true"];
      expect((await engine.tiffin(own)).stderr).toContain("only one of --health-cmd");
      expect(await engine.dockerOk("ps", "-aq")).toBe("");
    },
    TIMEOUT_MS,
  );
});
