/** --net-rate: real bytes are no faster than the rate, each way; live, with several networks, and for who could lift it. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { readdirSync } from "node:fs";
import { NETLINK_ROUTE } from "../../src/kernel/netlink.ts";
import { NetlinkSocket } from "../../src/kernel/netlink-socket.ts";
import { newIfb } from "../../src/kernel/rtnetlink.ts";
import { callApi, callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: network rates: ${engineObstacle}`);

setDefaultTimeout(120_000);

const KIB = 1024;
/** What a bucket of tokens lets through at once. */
const BURST = 40 * KIB;

interface Inspected {
  readonly Id: string;
  readonly State: { readonly Pid: number };
  readonly HostConfig: { readonly Annotations?: Readonly<Record<string, string>> };
  readonly NetworkSettings: {
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

describe.skipIf(engineObstacle !== undefined)("--net-rate", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
  });
  afterEach(async () => {
    await engine.removeContainers();
    await engine.tiffinOk("network", "prune", "-f");
    expect(await unownedResources(engine)).toEqual([]);
  });
  afterAll(() => engine.close());

  const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
  const rateOf = async (name: string) =>
    (await inspect(name)).HostConfig.Annotations?.["dev.tiffin.net-rate"];
  const send = (kib: number) => `dd if=/dev/zero bs=1k count=${kib} 2>/dev/null`;
  /** Serves bytes to whoever connects at port 80, and takes them at port 81. */
  const serve = (kib: number) =>
    `nc -ll -p 80 -e sh -c "${send(kib)}" & exec nc -ll -p 81 -e sh -c "wc -c"`;

  async function start(name: string, kib: number, ...options: string[]): Promise<void> {
    await engine.tiffinOk("run", "-d", "--name", name, ...options, "bb", "sh", "-c", serve(kib));
  }

  async function addressOf(name: string, network = "bridge"): Promise<string> {
    const { IPAddress = "" } = (await inspect(name)).NetworkSettings.Networks[network] ?? {};
    return IPAddress;
  }

  /** Bits a second at which `kib` came; from the container (80) or to it (81), whose answer is what arrived. */
  async function speed(address: string, way: "down" | "up", kib: number): Promise<number> {
    let bits = 0;
    const script =
      way === "up"
        ? `busybox nc ${address} 80 </dev/null | wc -c`
        : `${send(kib)} | busybox nc ${address} 81`;
    await until(`${kib} KiB come ${way}`, async () => {
      const begun = performance.now();
      const { stdout } = await engine.start("sh", ["-c", script]).ended;
      if (Number(stdout) !== kib * KIB) return false;
      bits = ((kib * KIB - BURST) * 8 * 1000) / (performance.now() - begun);
      return true;
    });
    return bits;
  }

  /** Once in several tries, on however busy a machine, it is faster than the rates here ever let it be. */
  const isFree = (address: string) =>
    until("bytes are faster than any rate here", async () => {
      return (await speed(address, "up", 400)) > 8.8e6;
    });

  test("bounds what goes each way, and only there", async () => {
    await start("slow", 400, "--net-rate", "8mbit/4mbit");
    await start("free", 400);
    const [slow, free] = [await addressOf("slow"), await addressOf("free")];
    expect(await speed(slow, "down", 400)).toBeLessThan(8.8e6);
    expect(await speed(slow, "up", 400)).toBeLessThan(4.4e6);
    await isFree(free);
  });

  test("holds for a container that may change its queues, and goes with it", async () => {
    const shapers = () =>
      readdirSync("/sys/class/net").filter((name) => /^ti[0-9a-f]{12}$/.test(name));
    const before = shapers().length;
    await start("admin", 400, "--net-rate", "0/4mbit", "--cap-add", "NET_ADMIN");
    const made = shapers().length;
    expect(await speed(await addressOf("admin"), "up", 400)).toBeLessThan(4.4e6);
    await engine.tiffinOk("update", "--net-rate", "0", "admin");
    const lifted = shapers().length;
    await engine.tiffinOk("update", "--net-rate", "4mbit", "admin");
    await engine.tiffinOk("kill", "admin");
    await engine.tiffinOk("wait", "admin");
    expect([made, lifted, shapers().length]).toEqual([before + 1, before, before]);
  });

  test("leaves nothing of a container whose end no engine saw, and check finds what is nobody's", async () => {
    await start("admin", 1, "--net-rate", "4mbit", "--privileged");
    const { Id, State } = await inspect("admin");
    const shapers = () =>
      readdirSync("/sys/class/net").filter((name) => name.startsWith(`ti${Id.slice(0, 8)}`));
    expect(shapers()).toHaveLength(1);
    await engine.killEngine();
    process.kill(State.Pid, "SIGKILL");
    await engine.startEngine();
    await until("the next engine has taken it away", () => Promise.resolve(shapers().length === 0));
    const name = `ti${Id.slice(0, 8)}0000`;
    const socket = NetlinkSocket.open(NETLINK_ROUTE);
    socket.change([newIfb({ name, index: 0x7f00_0001, mtu: 1500 })], "make an interface");
    socket.close();
    expect((await engine.tiffin(["system", "check"])).stdout).toContain(name);
    await engine.tiffin(["system", "check", "--repair"]);
    expect(shapers()).toEqual([]);
  });

  test("changes while it runs, in every network, and stays so at the next start", async () => {
    await engine.tiffinOk("network", "create", "other");
    await start("box", 400);
    await engine.tiffinOk("update", "--net-rate", "4MBIT", "box");
    expect(await rateOf("box")).toBe("4mbit");
    await engine.tiffinOk("network", "connect", "other", "box");
    const other = await addressOf("box", "other");
    expect(await speed(await addressOf("box"), "up", 400)).toBeLessThan(4.4e6);
    expect(await speed(other, "up", 400)).toBeLessThan(4.4e6);
    expect(await speed(other, "down", 400)).toBeLessThan(4.4e6);
    await engine.tiffinOk("restart", "-t", "0", "box");
    expect(await speed(await addressOf("box"), "down", 400)).toBeLessThan(4.4e6);
    await engine.tiffinOk("update", "--net-rate", "0", "box");
    expect(await rateOf("box")).toBeUndefined();
    await isFree(await addressOf("box"));
  });

  test("an update whose engine was killed is finished by the next", async () => {
    await start("box", 400);
    await engine.stopEngine();
    await engine.startEngine({ TIFFIN_FAULT: "update:recorded" });
    await engine.tiffin(["update", "--net-rate", "4mbit", "box"]);
    await engine.engineEnded();
    await engine.startEngine();
    expect(await speed(await addressOf("box"), "up", 400)).toBeLessThan(4.4e6);
  });

  test("is shown, and made again", async () => {
    await engine.tiffinOk("create", "--name", "one", "--net-rate", "20mbit/1.5mbit", "bb", "true");
    expect(await rateOf("one")).toBe("20mbit/1500kbit");
    expect(await engine.tiffinOk("inspect", "--as", "run", "one")).toContain(
      "--net-rate=20mbit/1500kbit",
    );
    await engine.tiffinOk("clone", "--name", "two", "one");
    await engine.tiffinOk("clone", "--name", "three", "--net-rate", "1mbit", "one");
    expect([await rateOf("two"), await rateOf("three")]).toEqual(["20mbit/1500kbit", "1mbit"]);
  });

  test("is refused where it makes no sense", async () => {
    const run = async (...options: string[]) => {
      const { status, stderr } = await engine.tiffin(["run", "--rm", ...options, "bb", "true"]);
      return `${status} ${stderr}`;
    };
    for (const mode of ["none", "host", "ns:/proc/self/ns/net"]) {
      expect(await run("--net-rate", "1mbit", "--network", mode)).toStartWith(
        `125 tiffin: conflicting options: --net-rate and the network mode "${mode}"`,
      );
    }
    expect(await run("--net-rate", "20mbps")).toContain('invalid network rate "20mbps"');
    await engine.tiffinOk("run", "-d", "--name", "box", "--network", "none", "bb", "sleep", "99");
    const refused = await engine.tiffin(["update", "--net-rate", "1mbit", "box"]);
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining("conflicting options"),
    ]);
    const other = await callApi(engine, "POST", "/containers/box/update", {
      Annotations: { mine: "1" },
    });
    expect(other.status).toBe(400);
  });
});
