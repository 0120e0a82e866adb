/** Published ports where nf_tables is not to be had, or not wanted: the engine passes them on. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { closeTestHost, openTestHost, type TestHost, testHostObstacle } from "./test-host.ts";

if (testHostObstacle !== undefined) console.log(`skipped: no nf_tables: ${testHostObstacle}`);

setDefaultTimeout(120_000);

const WRAPPER = join(import.meta.dirname, "without-netfilter.ts");
const refusing = (errno: string): string[] => [process.execPath, WRAPPER, errno];
const UDP_ECHO =
  'Bun.udpSocket({ hostname: "::", port: 53, socket: { data: (s, d, port, address) => void s.send(`got ${d}`, port, address) } }).then(() => console.log("ready"))';
const LOOPBACK_SERVER =
  'Bun.listen({ hostname: "127.0.0.1", port: 9999, socket: { open: (s) => void s.end("secret"), data: () => undefined } }); console.log("ready")';

const cases: [what: string, wrap: string[], policy: string, why: string][] = [
  ["policy none", [], "none", "The firewall's policy is none"],
  ["no right to nf_tables", refusing("EPERM"), "docker", "the engine may not"],
  ["no nf_tables in the kernel", refusing("EPROTONOSUPPORT"), "host", "the kernel lacks nf_tables"],
];

for (const [what, wrap, policy, why] of cases) {
  describe.skipIf(testHostObstacle !== undefined)(`without nf_tables (${what})`, () => {
    let host: TestHost;
    let engine: EngineFixture;

    beforeAll(async () => {
      host = openTestHost(wrap);
      engine = await openEngineFixture({ tiffin: host.tiffin, env: { TIFFIN_FIREWALL: policy } });
      engine.expectLog(/^tiffin: Cannot make firewall rules: |^(Run the engine|Load the modules)/);
      await engine.importBusybox("bb");
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
    const [here, here6, there] = ["198.18.0.1", "2001:db8:18::1", "198.18.0.2"];
    const hear = (from: readonly string[], to: string, port: string): Promise<string> =>
      run([...from, "busybox", "nc", "-w", "2", to, port]);

    test("it is said, with why", async () => {
      await engine.tiffinOk("run", "--rm", "bb", "true");
      // Said to who makes a container too, unless it was chosen, or has no network.
      for (const client of [engine.tiffin, engine.docker]) {
        const { stderr } = await client(["run", "--rm", "bb", "true"]);
        expect(stderr.includes("does not reach other hosts")).toBe(policy !== "none");
        expect((await client(["run", "--rm", "--network", "none", "bb", "true"])).stderr).toBe("");
      }
      const info = await engine.tiffin(["info"]);
      expect(info.stdout).toContain("Firewall Backend: none\n  Policy: none\n");
      expect(info.stderr).toContain(`WARNING: `);
      expect(info.stderr).toContain(why);
      expect(info.stderr).toContain("containers do not reach other hosts");
      if (policy !== "none") {
        expect(engine.engineLog()).toContain(why);
        expect(engine.engineLog()).toContain("the engine passes on what comes for published ports");
      }
      expect(host.tables()).toEqual([]);
    });

    test("TCP ports are reached from other hosts and this one, by both families; and after the engine was killed", async () => {
      const serve = ["sh", "-c", "nc -ll -p 80 -e cat"];
      await engine.tiffinOk(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "8080:80",
        "-p",
        "127.0.0.1:8081:80",
        "bb",
        ...serve,
      );
      const echo = async (from: readonly string[], to: string, port: string): Promise<string> => {
        const client = engine.start(from[0] ?? "", [
          ...from.slice(1),
          "busybox",
          "nc",
          "-w",
          "2",
          to,
          port,
        ]);
        client.write("hello");
        client.endInput();
        return (await client.ended).stdout;
      };
      const reached = async (): Promise<void> => {
        for (const [from, to, port] of [
          [host.there, here, "8080"],
          [host.there, here6, "8080"],
          [host.here, "127.0.0.1", "8080"],
          [host.here, "::1", "8080"],
          [host.here, "127.0.0.1", "8081"],
        ] as const) {
          await until(`${to} is reached`, async () => (await echo(from, to, port)) === "hello");
        }
      };
      await reached();
      expect(await hear(host.there, here, "8081")).toBe("");
      const taken = await engine.tiffin(["run", "--rm", "-p", "8080:80", "bb", "true"]);
      expect(taken.stderr).toContain('port is already allocated by container "web"');
      await engine.killEngine();
      await engine.startEngine();
      await reached();
      await engine.tiffinOk("update", "--publish-rm", "8080", "--publish-add", "8082:80", "web");
      expect(await echo(host.there, here, "8080")).toBe("");
      await until(
        "8082 is reached",
        async () => (await echo(host.there, here, "8082")) === "hello",
      );
      await engine.tiffinOk("rm", "-f", "web");
      expect(await echo(host.there, here, "8082")).toBe("");
    });

    test("UDP ports are, by several clients", async () => {
      await engine.tiffinOk(
        "run",
        "-d",
        "--name",
        "web",
        "-p",
        "5353:53/udp",
        "bb",
        "sleep",
        "1000",
      );
      const pid = await engine.tiffinOk("inspect", "-f", "{{.State.Pid}}", "web");
      const bun = process.execPath;
      const server = engine.start("nsenter", ["-t", pid, "-n", bun, "-e", UDP_ECHO]);
      try {
        await server.seen(/ready/);
        const ask = (to: string, word: string): Promise<string> =>
          run([
            ...host.there,
            bun,
            "-e",
            `const s = await Bun.udpSocket({ hostname: "${to.includes(":") ? "::" : "0.0.0.0"}", connect: { hostname: "${to}", port: 5353 }, socket: { data: (_, d) => { console.log(d.toString()); process.exit(0); } } }); s.send("${word}"); setInterval(() => s.send("${word}"), 500); setTimeout(() => process.exit(1), 10000);`,
          ]);
        const said = await Promise.all([ask(here, "one"), ask(here, "two"), ask(here6, "six")]);
        expect(said).toEqual(["got one\n", "got two\n", "got six\n"]);
      } finally {
        server.process.kill("SIGKILL");
        await engine.tiffinOk("rm", "-f", "web");
      }
    });

    test("SCTP, and more ports than the engine takes, are refused with words that say so", async () => {
      const sctp = await engine.tiffin(["run", "--rm", "-p", "80/sctp", "bb", "true"]);
      expect(sctp.status).toBe(125);
      expect(sctp.stderr).toContain("without nf_tables the engine passes on TCP and UDP alone");
      const many = await engine.tiffin(["run", "--rm", "-p", "7000-7999:7000-7999", "bb", "true"]);
      expect(many.status).toBe(125);
      expect(many.stderr).toContain("1024 at most");
    });

    test("containers reach each other and not the host's loopback; the host does not begin to forward", async () => {
      const server = engine.start(host.here[0] ?? "", [
        ...host.here.slice(1),
        process.execPath,
        "-e",
        LOOPBACK_SERVER,
      ]);
      try {
        await engine.tiffinOk(
          "run",
          "-d",
          "--name",
          "web",
          "bb",
          "nc",
          "-ll",
          "-p",
          "80",
          "-e",
          "echo",
          "inside",
        );
        const address = await engine.tiffinOk(
          "inspect",
          "-f",
          "{{.NetworkSettings.IPAddress}}",
          "web",
        );
        const gateway = await engine.tiffinOk(
          "inspect",
          "-f",
          "{{.NetworkSettings.Gateway}}",
          "web",
        );
        await until("the other one is reached", async () =>
          (
            await engine.tiffinOk(
              "run",
              "--rm",
              "bb",
              "sh",
              "-c",
              `nc -w 1 ${address} 80 </dev/null; true`,
            )
          ).includes("inside"),
        );
        await server.seen(/ready/);
        expect(await hear(host.here, "127.0.0.1", "9999")).toBe("secret");
        const attack = `ip route del local 127.0.0.0/8 dev lo table local; ip address del 127.0.0.1/8 dev lo; ip route add 127.0.0.1 via ${gateway}; nc -w 1 127.0.0.1 9999 </dev/null; nc -w 1 ${there} 80 </dev/null; true`;
        const words = ["run", "--rm", "--cap-add", "NET_ADMIN", "bb", "sh", "-c", attack];
        expect((await engine.tiffin(words)).stdout).toBe("");
        expect(await run([...host.here, "sysctl", "-n", "net.ipv4.ip_forward"])).toBe("0\n");
        await engine.tiffinOk("rm", "-f", "web");
      } finally {
        server.process.kill("SIGKILL");
      }
    });
  });
}
