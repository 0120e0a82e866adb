/** Traffic with other hosts: network namespaces of the test's own, each on a wire of its own to this one. */
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

const obstacle =
  engineObstacle ?? (Bun.which("ip") === null ? "this needs ip (Debian's iproute2)" : undefined);
if (obstacle !== undefined) console.log(`skipped: networks and other hosts: ${obstacle}`);

setDefaultTimeout(120_000);

/** Told by a server to whom it talks to. */
const TELL_PEER = ["nc", "-ll", "-p", "80", "-e", "sh", "-c", "netstat -tn"];
const UDP_ECHO =
  'Bun.udpSocket({ hostname: "::", port: 53, socket: { data: (s, d, port, address) => void s.send(`${address} says ${d}`, port, address) } }).then(() => console.log("ready"))';

function ip(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["ip", ...args]);
  expect({ args, exitCode, stderr: stderr.toString() }).toEqual({ args, exitCode: 0, stderr: "" });
}

describe.skipIf(obstacle !== undefined)("another host", () => {
  let engine: EngineFixture;
  const outside = `tiffin-outside-${process.pid}`;
  const wire = `tfo${process.pid % 1_000_000}`;
  // Of this run alone: engines of other tests may run beside this one.
  const place = process.pid % 250;
  const here = `198.18.${place}.1`;
  const here6 = `2001:db8:18:${place.toString(16)}::1`;
  const there = `198.18.${place}.2`;
  const there6 = `2001:db8:18:${place.toString(16)}::2`;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
    ip("netns", "add", outside);
    ip("link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", outside);
    ip("address", "add", `${here}/24`, "dev", wire);
    ip("address", "add", `${here6}/64`, "dev", wire, "nodad");
    ip("link", "set", wire, "up");
    ip("-n", outside, "link", "set", "lo", "up");
    ip("-n", outside, "address", "add", `${there}/24`, "dev", "eth0");
    ip("-n", outside, "address", "add", `${there6}/64`, "dev", "eth0", "nodad");
    ip("-n", outside, "link", "set", "eth0", "up");
    ip("-n", outside, "route", "add", "default", "via", here);
    ip("-n", outside, "-6", "route", "add", "default", "via", here6);
  });
  afterEach(async () => {
    await engine.removeContainers();
    await engine.tiffinOk("network", "prune", "-f");
  });
  afterAll(async () => {
    ip("netns", "delete", outside);
    await engine.close();
  });

  const inspect = async (format: string, name: string): Promise<string> =>
    engine.tiffinOk("inspect", "-f", format, name);
  /** What a TCP server says to the other host; "" when it says nothing. */
  const hear = async (address: string, port: string): Promise<string> => {
    const client = engine.start("ip", [
      "netns",
      "exec",
      outside,
      "busybox",
      "nc",
      "-w",
      "2",
      address,
      port,
    ]);
    client.endInput();
    return (await client.ended).stdout;
  };
  const portOf = async (name: string, port = "80/tcp"): Promise<string> =>
    (await inspect(`{{(index (index .NetworkSettings.Ports "${port}") 0).HostPort}}`, name)).trim();

  test("reaches a published port of IPv4 and IPv6, and is seen with its own address", async () => {
    await engine.tiffinOk("run", "-d", "--name", "web", "-p", "80", "bb", ...TELL_PEER);
    const port = await portOf("web");
    await until("it serves", async () => (await hear(here, port)).includes(`:80`));
    await until("it is reached by IPv4", async () =>
      (await hear(here, port)).includes(`${there}:`),
    );
    // The server is one connection's after the other.
    await until("it is reached by IPv6", async () =>
      (await hear(here6, port)).includes(there6.slice(0, 15)),
    );
  });

  test("reaches a range of ports, and not what is published elsewhere or not at all", async () => {
    const [first, last] = [41_000 + place * 20, 41_009 + place * 20];
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "web",
      "-p",
      `${here}:${first}-${last}:${first}-${last}`,
      "-p",
      "127.0.0.1::80",
      "bb",
      "sh",
      "-c",
      `nc -ll -p 80 -e echo hidden & exec nc -ll -p ${last} -e echo open`,
    );
    await until("it serves", async () => (await hear(here, String(last))) === "open\n");
    expect(await hear(here, await portOf("web"))).toBe("");
    const address = await inspect("{{.NetworkSettings.IPAddress}}", "web");
    // Though it knows the way.
    expect(await hear(address, "80")).toBe("");
    expect(await hear(address, String(last))).toBe("");
  });

  test("sees a container with the host's address", async () => {
    const server = engine.start("ip", ["netns", "exec", outside, "busybox", ...TELL_PEER]);
    try {
      const ask = (): Promise<string> =>
        engine.tiffinOk("run", "--rm", "bb", "sh", "-c", `nc -w 2 ${there} 80 </dev/null || true`);
      await until("it serves", async () => (await ask()).includes(":80"));
      expect(await ask()).toContain(`${here}:`);
      await engine.tiffinOk("network", "create", "--internal", "vault");
      const inside = ["run", "--rm", "--network", "vault", "bb"];
      const vault = await engine.tiffin([...inside, "nc", "-w", "1", there, "80"]);
      expect(vault.stdout).toBe("");
    } finally {
      server.process.kill("SIGKILL");
    }
  });

  test("talks UDP with a published port", async () => {
    await engine.tiffinOk("run", "-d", "--name", "web", "-p", "53/udp", "bb", "sleep", "1000");
    const pid = await inspect("{{.State.Pid}}", "web");
    const bun = process.execPath;
    const server = engine.start("nsenter", ["-t", pid, "-n", bun, "-e", UDP_ECHO]);
    try {
      await server.seen(/ready/);
      const port = await portOf("web", "53/udp");
      const code = `const s = await Bun.udpSocket({ connect: { hostname: "${here}", port: ${port} }, socket: { data: (_, d) => { console.log(d.toString()); process.exit(0); } } }); setInterval(() => s.send("hello"), 200); setTimeout(() => process.exit(1), 10000);`;
      const client = engine.start("ip", ["netns", "exec", outside, bun, "-e", code]);
      client.endInput();
      expect((await client.ended).stdout).toContain(`${there} says hello`);
    } finally {
      server.process.kill("SIGKILL");
    }
  });

  test("is on one wire with a container of a macvlan network", async () => {
    const subnet = `198.18.${place}.0/24`;
    await engine.tiffinOk(
      "network",
      "create",
      "-d",
      "macvlan",
      "-o",
      `parent=${wire}`,
      "--subnet",
      subnet,
      "--gateway",
      here,
      "lan",
    );
    await engine.tiffinOk(
      "run",
      "-d",
      "--name",
      "web",
      "--network",
      "lan",
      "--ip",
      `198.18.${place}.77`,
      "bb",
      ...TELL_PEER,
    );
    await until("it serves", async () =>
      (await hear(`198.18.${place}.77`, "80")).includes(`${there}:`),
    );
    await engine.tiffinOk("network", "disconnect", "lan", "web");
    expect(await engine.tiffinOk("exec", "web", "ip", "link")).not.toContain("eth0");
  });

  test("can be where a container is: a network namespace by its path", async () => {
    const network = `ns:/run/netns/${outside}`;
    const shown = await engine.tiffinOk("run", "--rm", "--network", network, "bb", "ip", "address");
    expect(shown).toContain(`${there}/24`);
    const wrong = await engine.tiffin([
      "run",
      "--rm",
      "--network",
      "ns:/run/netns/nowhere",
      "bb",
      "true",
    ]);
    expect(wrong.status).toBe(125);
    expect(wrong.stderr).toContain("open the network namespace /run/netns/nowhere");
  });

  test("may take the default network's subnet while the engine is away: it has another one then", async () => {
    const addressOf = "ip -4 address show eth0 | sed -n 's/.*inet \\([^ ]*\\).*/\\1/p'";
    const before = await engine.tiffinOk("run", "--rm", "bb", "sh", "-c", addressOf);
    await engine.stopEngine();
    ip("address", "add", before, "dev", wire);
    await engine.startEngine();
    const after = await engine.tiffinOk("run", "--rm", "bb", "sh", "-c", addressOf);
    ip("address", "delete", before, "dev", wire);
    expect(after).toMatch(/^\d+\.\d+\.\d+\.\d+\/20$/);
    expect(after).not.toBe(before);
    expect(after.split(".").slice(0, 3)).not.toEqual(before.split(".").slice(0, 3));
    const asked = await engine.tiffin([
      "network",
      "create",
      "--subnet",
      `198.18.${place}.0/25`,
      "x",
    ]);
    expect(asked.stderr).toContain(`overlaps the host's route 198.18.${place}.0/24`);
  });

  test("is not reached from a container by the host's loopback", async () => {
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      socket: { open: (socket) => void socket.end("secret"), data: () => undefined },
    });
    try {
      await engine.tiffinOk("run", "-d", "--name", "web", "--privileged", "bb", "sleep", "1000");
      const gateway = await inspect("{{.NetworkSettings.Gateway}}", "web");
      const attack = `echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; ip route del local 127.0.0.0/8 dev lo table local; ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via ${gateway}; nc -w 2 127.0.0.1 ${server.port} </dev/null`;
      expect(
        (await engine.tiffin(["exec", "--privileged", "web", "sh", "-c", attack])).stdout,
      ).toBe("");
    } finally {
      server.stop(true);
    }
  });
});
