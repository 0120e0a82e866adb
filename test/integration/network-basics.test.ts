import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { type EngineFixture, engineObstacle, openEngineFixture, until } from "./engine-fixture.ts";

if (engineObstacle !== undefined) console.log(`skipped: networks: ${engineObstacle}`);

setDefaultTimeout(120_000);

interface Settings {
  readonly NetworkSettings: {
    readonly IPAddress: string;
    readonly Networks: Record<
      string,
      { IPAddress: string; GlobalIPv6Address: string; Gateway: string; MacAddress: string }
    >;
    readonly Ports: Record<string, { HostIp: string; HostPort: string }[] | null>;
  };
}

describe.if(engineObstacle === undefined)("networks", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
  });
  afterEach(async () => {
    await engine.removeContainers();
    await engine.tiffinOk("network", "prune", "-f");
  });
  afterAll(() => engine.close());

  const run = (...args: string[]): Promise<string> => engine.tiffinOk("run", ...args);
  /** docker's client, where there is one (the virtual machine has none). */
  const dockerOk = (...args: string[]): Promise<string> =>
    Bun.which("docker") === null ? engine.tiffinOk(...args) : engine.dockerOk(...args);
  const serve = "exec nc -ll -p 80 -e hostname";
  const inspect = async (name: string): Promise<Settings["NetworkSettings"]> =>
    (JSON.parse(await engine.tiffinOk("inspect", name)) as Settings[])[0]?.NetworkSettings ?? {
      IPAddress: "",
      Networks: {},
      Ports: {},
    };
  /** What a TCP server says first; "" when there is none. */
  const say = (from: string, address: string, port = 80): Promise<string> =>
    engine
      .tiffin(["exec", from, "sh", "-c", `nc -w 2 ${address} ${port} </dev/null`])
      .then(({ stdout }) => stdout.trim());
  const sayFromHost = async (address: string, port: string): Promise<string> => {
    const client = engine.start("busybox", ["nc", "-w", "2", address, port]);
    client.endInput();
    return (await client.ended).stdout.trim();
  };

  test("a container has addresses, routes and a way out on the bridge by itself", async () => {
    const out = await run(
      "--rm",
      "bb",
      "sh",
      "-c",
      "ip addr show eth0; ip route; ping -c 1 -W 2 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p') | tail -2",
    );
    expect(out).toMatch(/inet \d+\.\d+\.\d+\.\d+\/20 /);
    expect(out).toMatch(/default via \d+\.\d+\.\d+\.1 dev eth0/);
    expect(out).toContain("1 packets received");
  });

  test("containers of a network reach each other, those of another do not", async () => {
    await engine.tiffinOk("network", "create", "--ipv6", "front");
    await engine.tiffinOk("network", "create", "back");
    await run(
      "-d",
      "--name",
      "aa",
      "--hostname",
      "host-a",
      "--network",
      "front",
      "bb",
      "sh",
      "-c",
      serve,
    );
    await run("-d", "--name", "bb1", "--network", "front", "bb", "sleep", "60");
    await run("-d", "--name", "cc", "--network", "back", "bb", "sleep", "60");
    const { IPAddress: address = "", GlobalIPv6Address: address6 = "" } =
      (await inspect("aa")).Networks["front"] ?? {};
    await until("a serves", async () => (await say("bb1", address)) === "host-a");
    expect(address6).toStartWith("fd");
    expect(
      (await engine.tiffin(["exec", "bb1", "ping", "-c", "1", "-W", "2", address6])).status,
    ).toBe(0);
    expect(await say("cc", address)).toBe("");
    expect(
      (await engine.tiffin(["exec", "cc", "ping", "-c", "1", "-W", "1", address])).status,
    ).toBe(1);
    const refused = await engine.tiffin(["network", "rm", "front"]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('has active endpoints (name:"aa"');
  });

  test("an address, a MAC address and a gateway that were asked for are had", async () => {
    await engine.tiffinOk(
      "network",
      "create",
      "--subnet",
      "10.77.3.0/24",
      "--gateway",
      "10.77.3.254",
      "--aux-address",
      "router=10.77.3.1",
      "fixed",
    );
    const mac = "02:00:00:aa:bb:cc";
    await run(
      "-d",
      "--name",
      "aa",
      "--network",
      "fixed",
      "--ip",
      "10.77.3.77",
      "--mac-address",
      mac,
      "bb",
      "sleep",
      "60",
    );
    await run("-d", "--name", "bb1", "--network", "fixed", "bb", "sleep", "60");
    const a = (await inspect("aa")).Networks["fixed"];
    expect(a).toMatchObject({ IPAddress: "10.77.3.77", Gateway: "10.77.3.254", MacAddress: mac });
    // The first address is somebody else's.
    expect((await inspect("bb1")).Networks["fixed"]?.IPAddress).toBe("10.77.3.2");
    const taken = await engine.tiffin([
      "run",
      "--rm",
      "--network",
      "fixed",
      "--ip",
      "10.77.3.77",
      "bb",
      "true",
    ]);
    expect(taken.status).toBe(125);
    expect(taken.stderr).toContain("Address already in use");
    const outside = await engine.tiffin([
      "run",
      "--rm",
      "--network",
      "fixed",
      "--ip",
      "10.78.0.1",
      "bb",
      "true",
    ]);
    expect(outside.stderr).toContain("no configured subnet");
  });

  test("an internal network leads nowhere", async () => {
    await engine.tiffinOk("network", "create", "--internal", "vault");
    const routes = await run("--rm", "--network", "vault", "bb", "ip", "route");
    expect(routes).not.toContain("default");
    expect(routes).toContain("dev eth0");
  });

  test("a running container enters and leaves networks", async () => {
    await engine.tiffinOk("network", "create", "front");
    await engine.tiffinOk("network", "create", "back");
    await run(
      "-d",
      "--name",
      "aa",
      "--hostname",
      "host-a",
      "--network",
      "back",
      "bb",
      "sh",
      "-c",
      serve,
    );
    await run("-d", "--name", "bb1", "--network", "front", "bb", "sleep", "60");
    await dockerOk("network", "connect", "--alias", "web", "front", "aa");
    const address = (await inspect("aa")).Networks["front"]?.IPAddress ?? "";
    await until("a serves", async () => (await say("bb1", address)) === "host-a");
    const links = await engine.tiffinOk("exec", "aa", "ip", "addr");
    expect(links).toContain("eth1");
    await dockerOk("network", "disconnect", "back", "aa");
    expect(Object.keys((await inspect("aa")).Networks)).toEqual(["front"]);
    expect(await engine.tiffinOk("exec", "aa", "ip", "route")).toContain("default via");
    expect(await say("bb1", address)).toBe("host-a");
    await engine.tiffinOk("restart", "-t", "0", "aa");
    expect(Object.keys((await inspect("aa")).Networks)).toEqual(["front"]);
  });

  test("published ports lead to the container, from the host and from containers", async () => {
    await engine.tiffinOk("network", "create", "other");
    await run(
      "-d",
      "--name",
      "aa",
      "--hostname",
      "host-a",
      "-p",
      "127.0.0.1::80",
      "-p",
      "80",
      "bb",
      "sh",
      "-c",
      serve,
    );
    await run("-d", "--name", "bb1", "--network", "other", "bb", "sleep", "60");
    const { Ports: ports, Networks: networks } = await inspect("aa");
    const [loopback, any] = ports["80/tcp"] ?? [];
    await until(
      "a serves",
      async () => (await sayFromHost("127.0.0.1", loopback?.HostPort ?? "")) === "host-a",
    );
    const port = any?.HostPort ?? "";
    expect(any?.HostIp).toBe("0.0.0.0");
    expect(await sayFromHost("127.0.0.1", port)).toBe("host-a");
    expect(await sayFromHost("::1", port)).toBe("host-a");
    const gateway = networks["bridge"]?.Gateway ?? "";
    expect(await sayFromHost(gateway, port)).toBe("host-a");
    // Another network's containers, and the container itself.
    expect(await say("bb1", gateway, Number(port))).toBe("host-a");
    expect(await say("aa", gateway, Number(port))).toBe("host-a");
    expect(await dockerOk("port", "aa", "80/tcp")).toContain(`0.0.0.0:${port}`);
    expect(await dockerOk("ps", "--format", "{{.Ports}}")).toContain(`0.0.0.0:${port}->80/tcp`);
    await engine.tiffinOk("stop", "-t", "0", "aa");
    expect(await sayFromHost("127.0.0.1", port)).toBe("");
  });

  test("a port that somebody has is refused, with who that is", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { data: () => undefined },
    });
    const taken = await engine.tiffin([
      "run",
      "--rm",
      "-p",
      `127.0.0.1:${server.port}:80`,
      "bb",
      "true",
    ]);
    expect(taken.status).toBe(125);
    expect(taken.stderr).toMatch(/port is already allocated by process \d+ \(bun/);
    server.stop(true);
    await run("-d", "--name", "holder", "-p", `127.0.0.1:${server.port}:80`, "bb", "sleep", "60");
    const again = await engine.tiffin([
      "run",
      "-d",
      "--name",
      "late",
      "-p",
      `${server.port}:80`,
      "bb",
      "true",
    ]);
    expect(again.status).toBe(125);
    expect(again.stderr).toContain('port is already allocated by container "holder"');
  });

  test("a killed engine's successor knows addresses and ports, and the firewall is whole again", async () => {
    await run(
      "-d",
      "--name",
      "aa",
      "--hostname",
      "host-a",
      "-p",
      "127.0.0.1::80",
      "-p",
      "80",
      "bb",
      "sh",
      "-c",
      serve,
    );
    const before = await inspect("aa");
    const [port = "", any = ""] = (before.Ports["80/tcp"] ?? []).map(({ HostPort }) => HostPort);
    await engine.killEngine();
    expect(await sayFromHost("127.0.0.1", port)).toBe("host-a");
    await engine.startEngine();
    expect(await inspect("aa")).toEqual(before);
    await until("a serves", async () => (await sayFromHost("127.0.0.1", port)) === "host-a");
    expect(await sayFromHost("::1", any)).toBe("host-a");
    await run("-d", "--name", "bb1", "bb", "sleep", "60");
    expect((await inspect("bb1")).IPAddress).not.toBe(before.IPAddress);
  });

  test("a container can be made again with its networks", async () => {
    for (const name of ["front", "back"]) await engine.tiffinOk("network", "create", name);
    const networks = ["--network", "name=front,alias=web", "--network", "back"];
    await engine.tiffinOk("create", "--name", "aa", ...networks, "-p", "80", "bb", "sleep", "60");
    const line = await engine.tiffinOk("inspect", "--as", "run", "aa");
    expect(line).toContain("--network=name=front,alias=web --network=back --publish=80/tcp");
    await engine.tiffinOk("clone", "--name", "bb1", "aa");
    expect(Object.keys((await inspect("bb1")).Networks).toSorted()).toEqual(["back", "front"]);
    expect(await engine.tiffinOk("ps", "-aq", "--filter", "network=back")).not.toBe("");
    // Used by what does not run, too.
    await engine.tiffinOk("network", "prune", "-f");
    await engine.tiffinOk("network", "inspect", "front");
  });

  test("what cannot be is refused and leaves nothing", async () => {
    const refusals: [args: string[], words: string][] = [
      [["run", "--network", "nowhere", "bb", "true"], "network nowhere not found"],
      [["network", "create", "bridge"], "predefined bridge network"],
      [["network", "create", "--subnet", "10.77.5.0/99", "x"], "invalid CIDR"],
      [["network", "create", "-d", "nope", "x"], 'plugin "nope"'],
      [["network", "rm", "bridge"], "pre-defined network and cannot be removed"],
      [["run", "--ip", "10.0.0.1", "bb", "true"], "supported on user defined networks only"],
    ];
    for (const [args, words] of refusals) {
      const { status, stderr } = await engine.tiffin(args);
      expect({ args, failed: status !== 0, told: stderr.includes(words) ? words : stderr }).toEqual(
        { args, failed: true, told: words },
      );
    }
    const names = await engine.tiffinOk("network", "ls", "--format", "{{.Name}}");
    expect(names.split("\n")).toEqual(["bridge", "host", "none"]);
    expect(await engine.tiffinOk("ps", "-aq")).toBe("");
  });
});
