/**
 * A reboot and clocks that are set, for which a machine of one's own is needed: scripts/test-vm test/integration/reboot.test.ts. The
 * first boot makes containers and resets the machine; the second one, which finds the marker, looks what has come back.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { callOk } from "./engine-api.ts";
import { busyboxTree, TIFFIN, until } from "./engine-fixture.ts";

const isVirtualMachine = process.env["TIFFIN_TEST_VM"] === "1";
if (!isVirtualMachine) console.log("skipped: a reboot: only in the virtual machine's lane");

const DIRECTORY = "/var/tmp/tiffin-reboot";
const MARKER = join(DIRECTORY, "before.json");
const engine = { socket: "/run/tiffin-reboot/t.sock" };
const TIMEOUT_MS = 300_000;
const RUNS = "trap 'exit 0' TERM; while :; do sleep 0.2; done";

interface Inspected {
  readonly RestartCount: number;
  readonly State: {
    readonly Status: string;
    readonly ExitCode: number;
    readonly Error: string;
    readonly StartedAt: string;
    readonly FinishedAt: string;
    readonly Health?: { readonly Status: string; readonly Log: readonly { Start: string }[] };
  };
}

let child: ChildProcess | undefined;

const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
const statusOf = async (name: string) => (await inspect(name)).State.Status;

async function startEngine(): Promise<void> {
  mkdirSync("/run/tiffin-reboot", { recursive: true });
  const places = ["--root", join(DIRECTORY, "root"), "--run", "/run/tiffin-reboot"];
  child = spawn(TIFFIN, [...places, "--host", `unix://${engine.socket}`, "engine"], {
    stdio: "inherit",
  });
  await until("the engine answers", async () => {
    try {
      return (await fetch("http://tiffin/_ping", { unix: engine.socket })).ok;
    } catch {
      return false;
    }
  });
}

async function run(name: string, policy: string, more: object = {}): Promise<void> {
  await callOk(engine, "POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sh", "-c", RUNS],
    HostConfig: { NetworkMode: "none", RestartPolicy: { Name: policy } },
    ...more,
  });
  await callOk(engine, "POST", `/containers/${name}/start`);
}

async function beforeReboot(): Promise<never> {
  mkdirSync(DIRECTORY, { recursive: true });
  const archive = join(DIRECTORY, "busybox.tar");
  spawnSync("tar", ["-C", busyboxTree(DIRECTORY), "-cf", archive, "."]);
  await startEngine();
  await callOk(engine, "POST", "/images/create?fromSrc=-&repo=busybox", readFileSync(archive));
  for (const policy of ["always", "unless-stopped", "on-failure", "no"]) await run(policy, policy);
  await run("stopped", "unless-stopped");
  await callOk(engine, "POST", "/containers/stopped/stop");
  await run("checked", "always", { Healthcheck: { Test: ["CMD", "true"], Interval: 1e9 } });
  await until("it is healthy", async () => {
    return (await inspect("checked")).State.Health?.Status === "healthy";
  });
  writeFileSync(MARKER, JSON.stringify(await inspect("always")));
  spawnSync("sync");
  writeFileSync("/proc/sysrq-trigger", "b");
  return await new Promise(() => undefined);
}

describe.skipIf(!isVirtualMachine)("after a reset of the machine", () => {
  afterAll(async () => {
    for (const name of await callOk<{ Id: string }[]>(engine, "GET", "/containers/json?all=1")) {
      await callOk(engine, "DELETE", `/containers/${name.Id}?force=1`);
    }
    child?.kill("SIGTERM");
    rmSync(DIRECTORY, { recursive: true, force: true });
  }, TIMEOUT_MS);

  test(
    "the state says what happened, and what must come back does",
    async () => {
      if (!existsSync(MARKER)) await beforeReboot();
      const before = JSON.parse(readFileSync(MARKER, "utf8")) as Inspected;
      await startEngine();
      const { State } = await inspect("no");
      expect(State).toMatchObject({
        Status: "exited",
        ExitCode: 255,
        Error: "The machine went down while the container ran",
      });
      expect(State.FinishedAt >= State.StartedAt).toBe(true);
      for (const name of ["always", "unless-stopped", "on-failure", "checked"]) {
        await until(`${name} runs`, async () => (await statusOf(name)) === "running");
      }
      expect((await inspect("always")).State.StartedAt > before.State.StartedAt).toBe(true);
      expect(await statusOf("stopped")).toBe("exited");
      await until("health is looked at again", async () => {
        return (await inspect("checked")).State.Health?.Status === "healthy";
      });
    },
    TIMEOUT_MS,
  );

  test(
    "a clock that is set neither stops nor hurries restarts and health checks",
    async () => {
      await callOk(engine, "POST", "/containers/create?name=loop", {
        Image: "busybox",
        Cmd: ["false"],
        HostConfig: { NetworkMode: "none", RestartPolicy: { Name: "always" } },
      });
      await callOk(engine, "POST", "/containers/loop/start");
      const checksOf = async () => (await inspect("checked")).State.Health?.Log.at(-1)?.Start ?? "";
      for (const step of ["+1 day", "-2 days"]) {
        spawnSync("date", ["-s", step]);
        const { RestartCount } = await inspect("loop");
        const last = await checksOf();
        await until(`restarts go on after ${step}`, async () => {
          return (await inspect("loop")).RestartCount > RestartCount;
        });
        await until(`checks go on after ${step}`, async () => (await checksOf()) !== last);
        expect((await inspect("checked")).State.Health?.Status).toBe("healthy");
      }
      // Two days on the wall are no good run: the pauses have grown all the while.
      const first = await inspect("loop");
      await Bun.sleep(1000);
      expect((await inspect("loop")).RestartCount - first.RestartCount).toBeLessThan(2);
    },
    TIMEOUT_MS,
  );
});
