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
  engineObstacle ??
  (Bun.which("dig") === null ? "this needs dig (Debian's bind9-dnsutils)" : undefined);
if (obstacle !== undefined) console.log(`skipped: names in networks: ${obstacle}`);

setDefaultTimeout(120_000);

describe.if(obstacle === undefined)("names in networks", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
    await engine.tiffinOk("network", "create", "--ipv6", "front");
    await engine.tiffinOk("network", "create", "back");
  });
  afterEach(() => engine.removeContainers());
  afterAll(() => engine.close());

  const run = (name: string, ...options: string[]): Promise<string> =>
    engine.tiffinOk("run", "-d", "--name", name, ...options, "bb", "sleep", "600");
  const exec = (name: string, ...command: string[]) => engine.tiffin(["exec", name, ...command]);
  const read = (name: string, file: string): Promise<string> =>
    engine.tiffinOk("exec", name, "cat", file);
  /** dig of the host in the network namespace of a container. */
  const dig = async (name: string, ...args: string[]): Promise<string> =>
    digAt(await pidOf(name), ...args);
  const pidOf = (name: string): Promise<string> =>
    engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", name);
  const digAt = async (pid: string, ...args: string[]): Promise<string> => {
    const client = engine.start("nsenter", [
      "-t",
      pid,
      "-n",
      "dig",
      "@127.0.0.11",
      "+tries=1",
      "+time=3",
      ...args,
    ]);
    return (await client.ended).stdout;
  };
  const address = async (name: string, network: string, field = "IPAddress"): Promise<string> =>
    (
      await engine.tiffinOk(
        "inspect",
        "-f",
        `{{(index .NetworkSettings.Networks "${network}").${field}}}`,
        name,
      )
    ).trim();

  test("a program may ask in its first instructions, at the first start and at the second", async () => {
    for (let round = 0; round < 5; round++) {
      const name = `early-${round}`;
      const first = ["--name", name, "--network", "front", "bb", "nslookup", "-type=a", name];
      const asked = await engine.tiffin(["run", ...first]);
      const again = await engine.tiffin(["start", "-a", name]);
      for (const { stdout, status } of [asked, again]) {
        expect(stdout).toMatch(new RegExp(`Name:\\s+${name}\\nAddress: \\d+\\.`));
        expect(status).toBe(0);
      }
    }
  });

  test("containers of a network find each other by name, alias, short id and host name, others do not", async () => {
    const id = (
      await run("web", "--network", "front", "--network-alias", "Shop", "--hostname", "hostx")
    ).trim();
    await run("asker", "--network", "front");
    await run("other", "--network", "back");
    const ip = await address("web", "front");
    for (const name of ["web", "WEB", "shop", id.slice(0, 12), "hostx", "web.front"]) {
      expect((await dig("asker", "+short", name)).trim()).toBe(ip);
    }
    expect((await exec("asker", "ping", "-c", "1", "-W", "2", "web")).status).toBe(0);
    expect(await dig("other", "+short", "web")).not.toContain(ip);
    expect(await dig("asker", "+short", "AAAA", "web")).toContain(
      await address("web", "front", "GlobalIPv6Address"),
    );
    expect((await dig("asker", "+short", "-x", ip)).trim()).toBe("web.front.");
    const ip6 = await address("web", "front", "GlobalIPv6Address");
    expect((await dig("asker", "+short", "-x", ip6)).trim()).toBe("web.front.");
  });

  test("by TCP, with EDNS, of other types, malformed: each has its answer", async () => {
    await run("web", "--network", "back");
    const ip = await address("web", "back");
    expect((await dig("web", "+tcp", "+short", "web")).trim()).toBe(ip);
    expect(await dig("web", "web")).toContain("EDNS: version: 0");
    expect(await dig("web", "+noedns", "web")).not.toContain("EDNS");
    const none = await dig("web", "AAAA", "web");
    expect(none).toContain("status: NOERROR");
    expect(none).toContain("ANSWER: 0");
    expect(await dig("web", "MX", "web")).toContain("ANSWER: 0");
    expect(await dig("web", "+edns=1", "+noednsneg", "web")).toContain("BADVERS");
    expect(await dig("web", "+opcode=2", "web")).toContain("NOTIMP");
  });

  test("an alias of several containers has all their addresses, in turn", async () => {
    const names = ["one", "two", "three"];
    for (const name of names) await run(name, "--network", "back", "--network-alias", "service");
    const firsts = new Set<string>();
    for (let asked = 0; asked < 3; asked++) {
      const answer = (await dig("one", "+short", "service")).trim().split("\n");
      expect(answer.toSorted()).toEqual(
        (await Promise.all(names.map((name) => address(name, "back")))).toSorted(),
      );
      firsts.add(answer[0] ?? "");
    }
    expect(firsts.size).toBe(3);
  });

  test("the host's name leads to the gateway, and a link is the asker's alone", async () => {
    await run("database", "--network", "back");
    await run("app", "--network", "back", "--link", "database:db");
    const ip = await address("database", "back");
    expect((await dig("app", "+short", "db")).trim()).toBe(ip);
    expect((await dig("database", "+short", "db")).trim()).not.toBe(ip);
    const gateway = await address("app", "back", "Gateway");
    expect((await dig("app", "+short", "host.docker.internal")).trim()).toBe(gateway);
    expect((await dig("app", "+short", "host.tiffin.internal")).trim()).toBe(gateway);
  });

  test("a container may have its own server on port 53 of all addresses", async () => {
    await run("dns", "--network", "back");
    await engine.tiffinOk("exec", "-d", "dns", "nc", "-ll", "-p", "53", "-e", "echo", "own");
    await until("it listens", async () =>
      (await exec("dns", "netstat", "-ltn")).stdout.includes(":53 "),
    );
    expect((await dig("dns", "+tcp", "+short", "dns")).trim()).toBe(await address("dns", "back"));
  });

  test("the name files say what docker's do, and change with the networks", async () => {
    await run("web", "--network", "back", "--hostname", "h", "--domainname", "example.org");
    const ip = await address("web", "back");
    expect(await read("web", "/etc/hosts")).toContain(`${ip}\th.example.org h`);
    expect(await read("web", "/etc/hostname")).toBe("h");
    const resolv = await read("web", "/etc/resolv.conf");
    expect(resolv).toContain("nameserver 127.0.0.11\n");
    expect(resolv).toContain("ndots:0");
    await engine.tiffinOk("network", "connect", "--alias", "later", "front", "web");
    const further = await address("web", "front");
    expect(await read("web", "/etc/hosts")).toContain(`${further}\th.example.org h`);
    await engine.tiffinOk("network", "disconnect", "front", "web");
    expect(await read("web", "/etc/hosts")).not.toContain(further);
  });

  test("what was asked for of the name files is in them", async () => {
    await run(
      "box",
      "--dns",
      "192.0.2.53",
      "--dns-search",
      "example.org",
      "--dns-option",
      "timeout:1",
      "--add-host",
      "extra:192.0.2.7",
      "--add-host",
      "me:host-gateway",
    );
    expect(await read("box", "/etc/resolv.conf")).toContain(
      "nameserver 192.0.2.53\nsearch example.org\noptions timeout:1",
    );
    const hosts = await read("box", "/etc/hosts");
    expect(hosts).toContain("192.0.2.7\textra\n");
    expect(hosts).toContain(`${await address("box", "bridge", "Gateway")}\tme\n`);
    await run("linked", "--link", "box:friend");
    expect(await read("linked", "/etc/hosts")).toMatch(/\tfriend .*box$/m);
    const refused = await engine.tiffin(["run", "--rm", "--link", "nobody", "bb", "true"]);
    expect(refused.stderr).toContain("could not get container for nobody");
    expect(refused.status).not.toBe(0);
  });

  test("an engine that takes over after a kill answers again", async () => {
    await run("web", "--network", "back");
    const ip = await address("web", "back");
    // Asking the engine for it would start one.
    const pid = await pidOf("web");
    expect((await digAt(pid, "+short", "web")).trim()).toBe(ip);
    await engine.killEngine();
    expect(await digAt(pid, "+short", "web")).not.toContain(ip);
    await engine.startEngine();
    expect((await digAt(pid, "+short", "web")).trim()).toBe(ip);
    expect((await digAt(pid, "+tcp", "+short", "web")).trim()).toBe(ip);
  });
});
