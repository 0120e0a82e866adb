/** Containers that the engine begins before anyone asks for them: used by the next that is created, and never left behind. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { callOk } from "./engine-api.ts";
import {
  engineObstacle,
  type EngineFixture,
  openEngineFixture,
  readyContainers,
  until,
} from "./engine-fixture.ts";
import { descriptorKinds, supervisorOf, unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: ready containers: ${engineObstacle}`);

const TIMEOUT_MS = 120_000;

interface Step {
  readonly ahead?: boolean;
  readonly nanoseconds?: number;
  readonly reason: string;
}

let engine: EngineFixture;

const ready = () => readyContainers(engine);
const full = () => until("two are ready", async () => (await ready()).length === 2);

async function create(name: string, more: object = {}): Promise<string> {
  const body = { Image: "busybox", Cmd: ["sleep", "1000"], ...more };
  const { Id } = await callOk<{ Id: string }>(
    engine,
    "POST",
    `/containers/create?name=${name}`,
    body,
  );
  return Id;
}

async function start(name: string): Promise<readonly Step[]> {
  const path = `/tiffin/containers/${name}/start?timings=1`;
  return (await callOk<{ steps: Step[] }>(engine, "POST", path)).steps;
}

const isAhead = (steps: readonly Step[]): boolean => steps.some(({ ahead }) => ahead === true);

function processesIn(id: string): string[] {
  const groups = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2 /.test(line))
    .map((line) => `${line.split(" ")[4]}/tiffin/${engine.engineId}/${id}/cgroup.procs`);
  return groups.flatMap((path) => readFileSync(path, "utf8").split("\n").filter(Boolean));
}

function commandLines(): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    } catch {
      // It ended while it was looked at.
      return "";
    }
  });
}

describe.skipIf(engineObstacle !== undefined)("ready containers", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  }, TIMEOUT_MS);

  afterAll(() => engine.close(), TIMEOUT_MS);

  test(
    "a container that is created takes one, and starts with what was done ahead",
    async () => {
      await full();
      const before = await ready();
      const id = await create("first");
      expect(before).toContain(id);
      const steps = await start("first");
      expect(isAhead(steps)).toBeTrue();
      for (const { ahead, nanoseconds } of steps)
        expect(nanoseconds === undefined).toBe(ahead === true);
      expect(await engine.tiffinOk("exec", "first", "id", "-u")).toBe("0");
      await full();
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "its interface on the default bridge is made ahead, and nobody else has its addresses",
    async () => {
      const addressOf = (name: string) =>
        engine.tiffinOk("inspect", "-f", "{{.NetworkSettings.IPAddress}}", name);
      const addresses: string[] = [];
      for (const name of ["one-of", "two-of", "three-of", "four-of"]) {
        await full();
        await create(name);
        const steps = await start(name);
        const connects = steps.filter(({ reason }) => reason === "connect eth0 to its network");
        expect(connects.map(({ ahead }) => ahead)).not.toContain(undefined);
        const address = await addressOf(name);
        expect(await engine.tiffinOk("exec", name, "ip", "addr", "show", "eth0")).toContain(
          address,
        );
        addresses.push(address);
      }
      expect(new Set(addresses).size).toBe(4);
      const [first = "", ...others] = addresses;
      for (const other of others) await engine.tiffinOk("exec", "one-of", "ping", "-c1", other);
      expect(await engine.tiffinOk("exec", "two-of", "ping", "-c1", first)).toContain(
        "1 packets received",
      );
      await engine.tiffinOk("rm", "-f", "one-of", "two-of", "three-of", "four-of");
    },
    TIMEOUT_MS,
  );

  test(
    "one with an interface is of no use to a container that was given another network before its start",
    async () => {
      await engine.tiffinOk("network", "create", "other");
      await full();
      await create("connected");
      await engine.tiffinOk("network", "connect", "other", "connected");
      const steps = await start("connected");
      const connects = steps.filter(({ reason }) => /^connect eth\d to its network$/.test(reason));
      expect(connects.filter(({ ahead }) => ahead === true)).toEqual([]);
      expect(connects).not.toEqual([]);
      const links = await engine.tiffinOk("exec", "connected", "ls", "/sys/class/net");
      expect(links.split("\n")).toEqual(expect.arrayContaining(["eth0", "eth1"]));
      await engine.tiffinOk("rm", "-f", "connected");
      await engine.tiffinOk("network", "rm", "other");
    },
    TIMEOUT_MS,
  );

  test(
    "a second start of the same container begins anew, in the same ids",
    async () => {
      const idsOf = () => engine.tiffinOk("exec", "first", "cat", "/proc/self/uid_map");
      const before = await idsOf();
      await engine.tiffinOk("stop", "-t", "0", "first");
      expect(isAhead(await start("first"))).toBeFalse();
      expect(await idsOf()).toBe(before);
    },
    TIMEOUT_MS,
  );

  test(
    "it has what was asked for, whatever that is",
    async () => {
      await full();
      const asked = ["--network", "none", "--hostname", "here", "--read-only", "--memory", "32m"];
      const script =
        "hostname; cat /proc/sys/net/ipv4/ping_group_range; ls /sys/class/net; touch /x; id -u";
      const more = [
        "--sysctl",
        "net.ipv4.ping_group_range=0 7",
        "-u",
        "1000",
        "--init",
        "-e",
        "A=b",
      ];
      const ran = await engine.tiffin([
        "run",
        "--rm",
        ...asked,
        ...more,
        "busybox",
        "sh",
        "-c",
        script,
      ]);
      const loopbackOnly = ran.stdout.split("\n").filter((line) => line.startsWith("eth"));
      expect(ran.stdout).toMatch(/^here\n0\t7\n/);
      expect(ran.stdout).toMatch(/\n1000\n$/);
      expect(loopbackOnly).toEqual([]);
      expect(ran.stderr).toMatch(/\/x: Read-only file system/);
    },
    TIMEOUT_MS,
  );

  test(
    "a supervisor keeps the same descriptors either way",
    async () => {
      await full();
      const id = await create("kept");
      const kinds = () => descriptorKinds(supervisorOf(engine, id) ?? -1);
      expect(isAhead(await start("kept"))).toBeTrue();
      const readyKinds = kinds();
      await engine.tiffinOk("stop", "-t", "0", "kept");
      expect(isAhead(await start("kept"))).toBeFalse();
      expect(readyKinds).toEqual(kinds());
    },
    TIMEOUT_MS,
  );

  test(
    "what asks for other namespaces takes none",
    async () => {
      await full();
      const before = await ready();
      for (const [name, config] of Object.entries({
        privileged: { HostConfig: { Privileged: true } },
        "host-users": { HostConfig: { UsernsMode: "host" } },
        "host-network": { HostConfig: { NetworkMode: "host" } },
        joining: { HostConfig: { NetworkMode: "container:first" } },
        "below-another": { HostConfig: { CgroupParent: `/tiffin/${engine.engineId}/other` } },
      })) {
        expect(before).not.toContain(await create(name, config));
        await engine.tiffinOk("rm", name);
      }
      expect(await ready()).toEqual(before);
    },
    TIMEOUT_MS,
  );

  test(
    "a command that has no room starts all the same",
    async () => {
      await full();
      const long = "x".repeat(100_000);
      const out = await engine.tiffinOk("run", "--rm", "busybox", "sh", "-c", `echo \${#0}`, long);
      expect(out).toBe("100000");
    },
    TIMEOUT_MS,
  );

  test(
    "one whose process was killed is no obstacle",
    async () => {
      await full();
      const [id = ""] = await ready();
      for (const pid of processesIn(id)) process.kill(Number(pid), "SIGKILL");
      const name = `tiffin-${id.slice(0, 8)}`;
      await until("its launcher has seen it", () => !commandLines().some((line) => line === name));
      for (const after of ["after", "after-that"]) {
        expect(await create(after)).not.toBe(id);
        await start(after);
        expect(await engine.tiffinOk("exec", after, "echo", "well")).toBe("well");
      }
    },
    TIMEOUT_MS,
  );

  test(
    "a container that is removed before its start leaves nothing of it",
    async () => {
      await full();
      const id = await create("unused");
      expect(processesIn(id)).toHaveLength(1);
      await engine.tiffinOk("rm", "unused");
      expect(await ready()).not.toContain(id);
      expect(await unownedResources(engine)).toEqual([]);
    },
    TIMEOUT_MS,
  );

  test(
    "a killed engine takes them along, and the next one removes what is left",
    async () => {
      await create("created");
      await full();
      const before = await ready();
      await engine.killEngine();
      await until("their processes are gone", () => before.flatMap(processesIn).length === 0);
      await engine.startEngine();
      await full();
      expect((await ready()).filter((id) => before.includes(id))).toEqual([]);
      expect(await unownedResources(engine)).toEqual([]);
      expect(isAhead(await start("created"))).toBeFalse();
    },
    TIMEOUT_MS,
  );

  test(
    "an engine that is to have none ahead has none",
    async () => {
      await engine.stopEngine();
      await engine.startEngine({ TIFFIN_READY: "0" });
      await engine.tiffinOk("run", "--rm", "busybox", "true");
      await Bun.sleep(200);
      expect(await ready()).toEqual([]);
    },
    TIMEOUT_MS,
  );
});
