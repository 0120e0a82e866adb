/** Who decides about published ports: the engine's firewall beside rules of the host's own, with traffic from another host. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { closeTestHost, openTestHost, type TestHost, testHostObstacle } from "./test-host.ts";

if (testHostObstacle !== undefined) console.log(`skipped: firewall policies: ${testHostObstacle}`);

setDefaultTimeout(120_000);

/** Told by a server to whom it talks to: who that is. */
const TELL_PEER = "nc -ll -p 80 -e sh -c 'netstat -tn | grep :80'";
const UDP_ECHO =
  'Bun.udpSocket({ hostname: "::", port: 53, socket: { data: (s, d, port, address) => void s.send(`${address} says ${d}`, port, address) } }).then(() => console.log("ready"))';

/** A host that lets nothing in but what is named. */
const CLOSED = `table inet guard {
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iif lo accept
    meta l4proto { icmp, ipv6-icmp } accept
  }
}
`;

describe.skipIf(testHostObstacle !== undefined)("a host that drops", () => {
  let host: TestHost;
  let engine: EngineFixture;

  beforeAll(async () => {
    host = openTestHost();
    engine = await openEngineFixture({ tiffin: host.tiffin });
    await engine.importBusybox("bb");
    // Its first answer: a listener that nobody has reached yet tells nothing by silence.
    await engine.tiffinOk("run", "-d", "--name", "web", "-p", "80", "bb", "sh", "-c", TELL_PEER);
  });
  afterEach(() => {
    if (host.tables().includes("inet guard")) host.nft("delete table inet guard");
  });
  afterAll(async () => {
    await closeTestHost(host, engine);
  });

  const run = async (words: readonly string[]): Promise<string> => {
    const [program = "", ...args] = words;
    const client = engine.start(program, args);
    client.endInput();
    return (await client.ended).stdout;
  };
  const hear = (from: readonly string[], address: string): Promise<string> =>
    run([...from, "busybox", "nc", "-w", "2", address, port]);
  let port = "";
  const setPolicy = async (policy: string): Promise<void> => {
    await engine.stopEngine();
    await engine.startEngine({ TIFFIN_FIREWALL: policy });
    port = await engine.tiffinOk("port", "web", "80/tcp");
    port = port.split("\n")[0]?.split(":").at(-1) ?? "";
    expect(await engine.tiffinOk("info")).toContain(`Policy: ${policy}`);
  };
  /** It serves one after the other: a moment may pass before the next one is served. */
  const reaches = async (from: readonly string[], address: string, seen: string): Promise<void> =>
    until(`${address} is reached`, async () => (await hear(from, address)).includes(seen), 15_000);
  const { there, there6, here, here6 } = {
    here: "198.18.0.1",
    here6: "2001:db8:18::1",
    there: "198.18.0.2",
    // As far as netstat(8) shows it.
    there6: "2001:db8:18::2",
  };
  const webAddress = (): Promise<string> =>
    engine.tiffinOk("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web");

  test("policy docker: a published port is open whatever the input rules say", async () => {
    await setPolicy("docker");
    host.nft(CLOSED);
    await reaches(host.there, here, `${there}:`);
    await reaches(host.there, here6, there6);
    await reaches(host.here, "127.0.0.1", ":80");
    await reaches(host.here, "::1", ":80");
  });

  test("policy docker: a forward chain that drops must let it through", async () => {
    await setPolicy("docker");
    const chain = (rule: string): string =>
      `table inet guard { chain way { type filter hook forward priority filter; policy drop; ${rule}; }; }\n`;
    host.nft(chain("ct state established,related accept"));
    expect(await hear(host.there, here)).toBe("");
    expect(await hear(host.there, here6)).toBe("");
    host.nft(chain("ct status dnat accept"));
    await reaches(host.there, here, `${there}:`);
    await reaches(host.there, here6, there6);
  });

  test("policy host: the input rules decide, for IPv4 and IPv6", async () => {
    await setPolicy("host");
    await reaches(host.there, here, `${there}:`);
    host.nft(CLOSED);
    expect(await hear(host.there, here)).toBe("");
    expect(await hear(host.there, here6)).toBe("");
    // The host itself is no other host.
    await reaches(host.here, "127.0.0.1", ":80");
    await reaches(host.here, "::1", ":80");
    await reaches(host.here, here, ":80");
    host.nft(`add rule inet guard input ip saddr ${there} tcp dport ${port} accept`);
    await reaches(host.there, here, `${there}:`);
    expect(await hear(host.there, here6)).toBe("");
    host.nft(`add rule inet guard input ct state new tcp dport ${port} accept`);
    await reaches(host.there, here6, there6);
    // By its own address it is not to be had, though the other host knows the way.
    const address = await webAddress();
    expect(await run([...host.there, "busybox", "nc", "-w", "1", address, "80"])).toBe("");
  });

  test("policy host: a forward chain need let pass only what was let in, and routes are checked as strictly as can be", async () => {
    await setPolicy("host");
    host.nft(`${CLOSED}
      add rule inet guard input tcp dport ${port} accept
      add chain inet guard way { type filter hook forward priority filter; policy drop; }
      add rule inet guard way ct state established,related accept
      add chain inet guard out { type filter hook output priority filter; policy drop; }
      add rule inet guard out ct state established,related accept
      add rule inet guard out oif lo accept
      add rule inet guard out meta l4proto { icmp, ipv6-icmp } accept`);
    const strict = (value: string): Promise<string> =>
      run([...host.here, "sysctl", "-w", `net.ipv4.conf.all.rp_filter=${value}`]);
    await strict("1");
    await reaches(host.there, here, `${there}:`);
    await reaches(host.there, here6, there6);
    await strict("0");
  });

  test("policy host: containers of other networks come by the input rules too", async () => {
    await setPolicy("host");
    host.nft(CLOSED);
    const ask = (): Promise<string> =>
      engine.tiffinOk(
        "run",
        "--rm",
        "--network",
        "side",
        "bb",
        "sh",
        "-c",
        `nc -w 2 ${here} ${port} </dev/null || true`,
      );
    await engine.tiffinOk("network", "create", "side");
    expect(await ask()).toBe("");
    host.nft(`add rule inet guard input iifname "tf-*" tcp dport ${port} accept`);
    await until("it is reached", async () => (await ask()).includes(":80"), 15_000);
    await engine.tiffinOk("network", "rm", "side");
  });

  test("policy host: a port at one address, and a range of ports", async () => {
    await setPolicy("host");
    const ports = ["--publish-add", `${here}:7000:7000`, "--publish-add", "7001-7009:7001-7009"];
    await engine.tiffinOk("update", ...ports, "web");
    for (const number of ["7000", "7003"]) {
      await engine.tiffinOk("exec", "-d", "web", "nc", "-ll", "-p", number, "-e", "echo", number);
      const answered = async (): Promise<boolean> =>
        (await run([...host.there, "busybox", "nc", "-w", "2", here, number])) === `${number}\n`;
      await until(`${number} answers`, answered, 15_000);
      host.nft(CLOSED);
      expect(await answered()).toBe(false);
      host.nft("delete table inet guard");
    }
    await engine.tiffinOk("update", "--publish-rm", "7000-7009", "web");
  });

  test("policy host: UDP, many clients, and a container that is given another port while it runs", async () => {
    await setPolicy("host");
    host.nft(`${CLOSED}\nadd rule inet guard input udp dport 5353 accept`);
    await engine.tiffinOk(
      "update",
      "--publish-add",
      "5353:53/udp",
      "--publish-add",
      "5354:53/udp",
      "web",
    );
    const pid = await engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", "web");
    const bun = process.execPath;
    const server = engine.start("nsenter", ["-t", pid, "-n", bun, "-e", UDP_ECHO]);
    try {
      await server.seen(/ready/);
      const ask = (to: string, number: number, patience: number): Promise<string> =>
        run([
          ...host.there,
          bun,
          "-e",
          `const s = await Bun.udpSocket({ hostname: "${to.includes(":") ? "::" : "0.0.0.0"}", connect: { hostname: "${to}", port: ${number} }, socket: { data: (_, d) => { console.log(d.toString()); process.exit(0); } } }); s.send("hello"); setTimeout(() => process.exit(1), ${patience});`,
        ]);
      // One packet each: the first one is not lost.
      const said = await Promise.all([1, 2, 3].map(() => ask(here, 5353, 10_000)));
      expect(said).toEqual(Array.from({ length: 3 }, () => `::ffff:${there} says hello\n`));
      expect(await ask(here6, 5353, 10_000)).toBe(`${there6} says hello\n`);
      expect(await ask(here, 5354, 1000)).toBe("");
      await engine.tiffinOk(
        "update",
        "--publish-rm",
        "5353/udp",
        "--publish-rm",
        "5354/udp",
        "web",
      );
      expect(await ask(here, 5353, 1000)).toBe("");
    } finally {
      server.process.kill("SIGKILL");
    }
  });

  const trace = async (): Promise<string> =>
    (await engine.tiffin(["network", "trace", port])).stdout;

  test("network trace names the policy, and the rule that lets it in or not", async () => {
    await setPolicy("host");
    const open = await trace();
    expect(open).toContain("firewall policy host: the host's input rules decide");
    expect(open).toContain("\nreached: ");
    host.nft(CLOSED);
    const closed = await trace();
    expect(closed).toContain(
      "not reached: table inet guard, input chain input: policy drop drops what comes from other hosts and networks",
    );
    const hint = /^hint: .*: nft (.*)$/m.exec(closed)?.[1] ?? "";
    expect(hint).toBe(`insert rule inet guard input tcp dport ${port} accept`);
    host.nft(hint);
    expect(await trace()).toMatch(
      /^ok {2}table inet guard, input chain input: rule \d+ of chain input lets it in$/m,
    );
    await reaches(host.there, here, `${there}:`);
    host.nft(
      `flush chain inet guard input\nadd rule inet guard input tcp dport { 22, 25, ${port} } accept`,
    );
    expect(await trace()).toContain("lets it in\n");
    host.nft(`flush chain inet guard input\nadd rule inet guard input tcp dport 1-${Number(port) - 1} accept
      add rule inet guard input tcp dport { 1-22, ${Number(port) + 1}-65535 } accept`);
    expect(await trace()).toContain("policy drop drops");
    host.nft(`flush chain inet guard input\nadd rule inet guard input accept
      add chain inet guard way { type filter hook forward priority filter; policy drop; }`);
    expect(await trace()).toContain(
      "not reached: table inet guard, forward chain way: policy drop drops what follows the first packet",
    );
    host.nft("add rule inet guard way ct state established,related accept");
    expect(await trace()).toContain("\nreached: ");
    await setPolicy("docker");
    expect(await trace()).toContain("forward chain way: policy drop drops what comes from other");
    expect(await trace()).toContain("firewall policy docker: the host's input rules are not asked");
    await setPolicy("none");
    expect(await trace()).toContain("the engine passes it on to");
  });

  test("network trace sees that an element is missing", async () => {
    await setPolicy("docker");
    engine.expectLog(/^tiffin: set open4 of table inet .* has lost 1 elements: nft .* is put back/);
    const table = `tiffin-${engine.engineId.slice(0, 8)}`;
    const element = `tcp . ${port}`;
    const isThere = (): boolean =>
      Bun.spawnSync([...host.here, "nft", "list", "map", "inet", table, "open4"])
        .stdout.toString()
        .includes(` . ${port} :`);
    // Who takes it away again and again has it away for a while.
    for (let times = 0; times < 6; times++) {
      await until("it is there", isThere);
      host.nft(`delete element inet ${table} open4 { ${element} }`);
    }
    expect(await trace()).toContain(
      `not reached: set open4 of table inet ${table} has lost 1 elements`,
    );
    expect(await engine.tiffin(["system", "check"])).toMatchObject({ status: 1 });
    await engine.tiffinOk("system", "check", "--repair");
    expect(await trace()).toContain(`ok  table inet ${table} leads it to`);
  });

  test("the policy is remembered by an engine that is told none, and another word is refused", async () => {
    await setPolicy("host");
    await engine.stopEngine();
    await engine.startEngine();
    expect(await engine.tiffinOk("info", "-f", "{{json .FirewallBackend}}")).toContain(
      '["Policy","host"]',
    );
    const wrong = await engine.tiffin(["engine", "--firewall", "open"]);
    expect(wrong.status).not.toBe(0);
    expect(wrong.stderr).toContain('Unknown firewall policy "open": want docker, host or none');
  });
});
