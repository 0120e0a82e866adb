/** DNS as clients expect it: asked with dig in a container's network namespace; upstreams are servers of the test's own. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { RCODE, TYPE } from "../../src/network/dns-message.ts";
import { type DnsUpstream, openDnsUpstream, type Said } from "./dns-upstream.ts";
import { callOk } from "./engine-api.ts";
import { type EngineFixture, engineObstacle, openEngineFixture } from "./engine-fixture.ts";

const obstacle =
  engineObstacle ??
  (Bun.which("dig") === null ? "this needs dig (Debian's bind9-dnsutils)" : undefined);
if (obstacle !== undefined) console.log(`skipped: DNS as clients expect it: ${obstacle}`);

setDefaultTimeout(120_000);

const HTTPS = 65;
const address = (last: number, ttl = 300) => ({
  type: TYPE.A,
  ttl,
  data: Uint8Array.of(203, 0, 113, last),
});
const found = (last: number, ttl?: number): Said => ({ records: [address(last, ttl)] });
const MISSING: Said = { rcode: RCODE.NXDOMAIN, authoritySeconds: 60 };

interface Dug {
  readonly status: string;
  readonly flags: readonly string[];
  /** As it was echoed. */
  readonly question: string;
  /** TTL, type and data of each. */
  readonly answers: readonly {
    readonly ttl: number;
    readonly type: string;
    readonly data: string;
  }[];
  readonly isEdns: boolean;
  readonly isByTcp: boolean;
}

interface Addresses {
  readonly IPAddress: string;
  readonly GlobalIPv6Address: string;
}

interface Inspected {
  readonly State: { readonly Pid: number };
  readonly NetworkSettings: { readonly Networks: Readonly<Record<string, Addresses>> };
}

interface Started {
  /** Whom it asks; none: the host's servers. */
  readonly servers?: readonly DnsUpstream[];
  readonly search?: readonly string[];
  readonly alias?: string;
}

function read(text: string): Dug {
  const lines = text.split("\n");
  const section = (name: string): string[] => {
    const start = lines.indexOf(`;; ${name} SECTION:`);
    if (start < 0) return [];
    const rest = lines.slice(start + 1);
    return rest.slice(0, rest.indexOf(""));
  };
  return {
    status: /status: (\w+)/.exec(text)?.[1] ?? "",
    flags: (/flags: ([^;]*);/.exec(text)?.[1] ?? "").split(" "),
    question: /^;(\S+)/.exec(section("QUESTION")[0] ?? "")?.[1] ?? "",
    answers: section("ANSWER").map((line) => {
      const [, ttl = "", , type = "", ...data] = line.split(/\s+/);
      return { ttl: Number(ttl), type, data: data.join(" ") };
    }),
    isEdns: text.includes("EDNS: version: 0"),
    isByTcp: /SERVER: .*\(TCP\)/.test(text),
  };
}

describe.skipIf(obstacle !== undefined)("DNS", () => {
  let engine: EngineFixture;
  let directory: string;
  let hostFile: string;
  const upstreams: DnsUpstream[] = [];
  let made = 0;

  /** An engine whose host's /etc/resolv.conf is the test's. */
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "tiffin-dns."));
    hostFile = join(directory, "resolv.conf");
    writeFileSync(hostFile, "");
    const program = join(import.meta.dir, "../../bin/tiffin");
    const tiffin = join(directory, "tiffin");
    const entering = `mount --bind ${hostFile} /etc/resolv.conf && exec "$0" "$@"`;
    writeFileSync(
      tiffin,
      `#!/bin/sh
case " $* " in *" engine "*) exec unshare --mount --propagation slave sh -c '${entering}' ${program} "$@" ;; esac
exec ${program} "$@"
`,
    );
    chmodSync(tiffin, 0o755);
    engine = await openEngineFixture({ tiffin });
    await engine.importBusybox("bb");
    await engine.tiffinOk("network", "create", "--ipv6", "front");
    await engine.tiffinOk("network", "create", "--internal", "closed");
  });
  afterEach(async () => {
    await engine.removeContainers();
    for (const one of upstreams.splice(0)) one.close();
  });
  afterAll(async () => {
    await engine.close();
    rmSync(directory, { recursive: true, force: true });
  });

  /** A server at an address that nobody else has. */
  async function upstream(answer: DnsUpstream["answer"]): Promise<DnsUpstream> {
    made += 1;
    const opened = await openDnsUpstream(`127.53.${process.pid % 251}.${made}`, answer);
    upstreams.push(opened);
    return opened;
  }
  /** By the API: many are started here. */
  async function run(name: string, network: string, how: Started = {}): Promise<void> {
    const { servers = [], search = [], alias } = how;
    const path = `/containers/create?name=${name}`;
    await callOk(engine, "POST", path, {
      Image: "bb",
      Cmd: ["sleep", "600"],
      HostConfig: {
        NetworkMode: network,
        Dns: servers.map(({ address: server }) => server),
        DnsSearch: search,
      },
      NetworkingConfig: { EndpointsConfig: { [network]: { Aliases: alias ? [alias] : [] } } },
    });
    await callOk(engine, "POST", `/containers/${name}/start`);
  }
  const front = (name: string, how: Started = {}): Promise<void> => run(name, "front", how);
  const inspect = (name: string) => callOk<Inspected>(engine, "GET", `/containers/${name}/json`);
  const pidOf = async (name: string): Promise<string> => String((await inspect(name)).State.Pid);
  async function digAt(pid: string, ...args: string[]): Promise<Dug> {
    const words = ["-t", pid, "-n", "dig", "@127.0.0.11", "+tries=1", "+time=8", ...args];
    return read((await engine.start("nsenter", words).ended).stdout);
  }
  const dig = async (name: string, ...args: string[]): Promise<Dug> =>
    digAt(await pidOf(name), ...args);
  const inFront = async (name: string): Promise<Addresses> => {
    const { Networks } = (await inspect(name)).NetworkSettings;
    return Networks["front"] ?? { IPAddress: "", GlobalIPv6Address: "" };
  };
  const data = ({ answers }: Dug): string[] => answers.map((one) => one.data).toSorted();

  test("a container's name has an A and an AAAA record, and its addresses lead back to the name", async () => {
    const server = await upstream(() => MISSING);
    await front("web", { servers: [server] });
    const { IPAddress: ipv4, GlobalIPv6Address: ipv6 } = await inFront("web");
    const a = await dig("web", "web");
    expect(a).toMatchObject({ status: "NOERROR", question: "web.", isByTcp: false });
    expect(a.flags).toEqual(["qr", "rd", "ra"]);
    expect(a.answers).toEqual([{ ttl: 600, type: "A", data: ipv4 }]);
    expect((await dig("web", "AAAA", "web")).answers).toEqual([
      { ttl: 600, type: "AAAA", data: ipv6 },
    ]);
    for (const one of [ipv4, ipv6]) {
      expect((await dig("web", "-x", one)).answers).toEqual([
        { ttl: 600, type: "PTR", data: "web.front." },
      ]);
    }
    expect(data(await dig("web", "ANY", "web"))).toEqual([ipv4, ipv6].toSorted());
    expect(server.asked).toEqual([]);
  });

  test("a name without a record of the type is no missing name, whatever the type, and nobody else is asked", async () => {
    const server = await upstream(() => MISSING);
    await engine.tiffinOk("network", "create", "four");
    await run("web", "four", { servers: [server] });
    for (const type of ["AAAA", "MX", "TXT", "SRV", `TYPE${HTTPS}`, "TYPE65280"]) {
      expect(await dig("web", type, "web")).toMatchObject({ status: "NOERROR", answers: [] });
    }
    expect(server.asked).toEqual([]);
    expect(await dig("web", "nobody")).toMatchObject({ status: "NXDOMAIN", answers: [] });
    expect(await dig("web", "-x", "198.51.100.7")).toMatchObject({ status: "NXDOMAIN" });
    expect(server.asked.map(({ name }) => name)).toEqual(["nobody", "7.100.51.198.in-addr.arpa"]);
    await engine.removeContainers();
    await engine.tiffinOk("network", "rm", "four");
  });

  test("an alias of many has all their addresses: cut by a small datagram, whole in a large one and by TCP", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `one${index}`);
    for (const name of names) await front(name, { alias: "service" });
    const all = (await Promise.all(names.map(inFront))).map((one) => one.GlobalIPv6Address);
    const cut = await dig("one0", "+noedns", "+ignore", "AAAA", "service");
    expect(cut.flags).toContain("tc");
    expect(cut.answers.length).toBeGreaterThan(10);
    expect(cut.answers.length).toBeLessThan(20);
    const again = await dig("one0", "+noedns", "AAAA", "service");
    expect(again.isByTcp).toBe(true);
    expect(data(again)).toEqual(all.toSorted());
    const large = await dig("one0", "+bufsize=1232", "+ignore", "AAAA", "service");
    expect(large).toMatchObject({ isByTcp: false, isEdns: true });
    expect(data(large)).toEqual(all.toSorted());
    // Sizes below 512 count as 512 (RFC 6891 section 6.2.5).
    const tiny = await dig("one0", "+bufsize=100", "+ignore", "A", "service");
    expect(tiny.answers.length).toBeGreaterThan(10);
    const firsts = new Set<string>();
    for (let asked = 0; asked < 20; asked++) {
      firsts.add((await dig("one0", "AAAA", "service")).answers[0]?.data ?? "");
    }
    expect(firsts.size).toBe(20);
  });

  test("letters of a question stay as they were asked, of a container and of the world", async () => {
    const server = await upstream(() => found(1));
    await front("web", { servers: [server] });
    expect((await dig("web", "WeB")).question).toBe("WeB.");
    expect((await dig("web", "wEb.FRONT")).question).toBe("wEb.FRONT.");
    expect((await dig("web", "ExAmPlE.test")).question).toBe("ExAmPlE.test.");
    expect(await dig("web", "eXaMpLe.TEST")).toMatchObject({
      question: "eXaMpLe.TEST.",
      status: "NOERROR",
    });
    expect(server.asked).toHaveLength(1);
  });

  test("programs inside find names with a last dot, with search domains and without", async () => {
    const server = await upstream(({ name, type }) =>
      type === TYPE.A && ["db.example.org", "www.example.net"].includes(name.toLowerCase())
        ? found(9)
        : MISSING,
    );
    await front("web");
    await front("asker", { search: ["example.org"], servers: [server] });
    const looked = async (name: string): Promise<string> =>
      (await engine.tiffin(["exec", "asker", "ping", "-4", "-c", "1", "-W", "1", name])).stdout;
    const ip = (await inFront("web")).IPAddress;
    for (const name of ["web", "web.", "web.front", "WEB."])
      expect(await looked(name)).toContain(`(${ip})`);
    for (const name of ["db", "db.example.org", "db.example.org.", "www.example.net"]) {
      expect(await looked(name)).toContain("(203.0.113.9)");
    }
    expect(await looked("db.")).toBe("");
  });

  test("what is not known here is asked of a server, once for as long as its answer holds", async () => {
    let last = 0;
    const server = await upstream(({ name }) => {
      last += 1;
      if (name === "short.test") return found(last, 1);
      if (name === "never.test") return found(last, 0);
      return name === "none.test" ? { rcode: RCODE.NXDOMAIN, authoritySeconds: 1 } : found(last);
    });
    await front("web", { servers: [server] });
    await front("other", { servers: [server] });
    const first = await dig("web", "long.test");
    expect(first).toMatchObject({ status: "NOERROR", answers: [{ data: "203.0.113.1" }] });
    expect(data(await dig("other", "long.test"))).toEqual(["203.0.113.1"]);
    expect(data(await dig("web", "+tcp", "long.test"))).toEqual(["203.0.113.1"]);
    expect(data(await dig("web", "never.test"))).toEqual(["203.0.113.2"]);
    expect(data(await dig("web", "never.test"))).toEqual(["203.0.113.3"]);
    expect(data(await dig("web", "short.test"))).toEqual(["203.0.113.4"]);
    expect((await dig("web", "none.test")).status).toBe("NXDOMAIN");
    await Bun.sleep(1_500);
    expect(data(await dig("web", "short.test"))).toEqual(["203.0.113.6"]);
    expect((await dig("web", "none.test")).status).toBe("NXDOMAIN");
    const aged = (await dig("web", "long.test")).answers[0];
    expect(aged?.data).toBe("203.0.113.1");
    expect(aged?.ttl).toBeLessThan(300);
    expect(server.asked.filter(({ name }) => name === "none.test")).toHaveLength(2);
  });

  test("all servers are asked at once: one that is silent, refuses or lies costs nothing", async () => {
    const silent = await upstream(() => undefined);
    const refusing = await upstream(() => ({ rcode: RCODE.REFUSED }));
    const slow = await upstream(() => ({ ...found(3), afterMs: 200 }));
    await front("web", { servers: [silent, refusing, slow] });
    expect(data(await dig("web", "+time=2", "one.test"))).toEqual(["203.0.113.3"]);
    expect([silent, refusing, slow].map(({ asked }) => asked.length)).toEqual([1, 1, 1]);
    const wrongId = await upstream(() => ({ ...found(66), lie: "id" }));
    const wrongName = await upstream(() => ({ ...found(66), lie: "name" }));
    await front("lied-to", { servers: [wrongId, wrongName, slow] });
    expect(data(await dig("lied-to", "+time=2", "two.test"))).toEqual(["203.0.113.3"]);
    expect(wrongId.asked.length * wrongName.asked.length).toBeGreaterThan(0);
  });

  test("servers that cannot tell are not believed for long, and one that is not there is told of at once", async () => {
    const failing = await upstream(() => ({ rcode: RCODE.SERVFAIL }));
    await front("web", { servers: [failing] });
    expect((await dig("web", "one.test")).status).toBe("SERVFAIL");
    failing.answer = () => found(1);
    expect(data(await dig("web", "one.test"))).toEqual(["203.0.113.1"]);
    failing.close();
    upstreams.pop();
    expect((await dig("web", "+time=2", "two.test")).status).toBe("SERVFAIL");
  });

  test("an answer that is too long is had by TCP, and cut for who asks by datagram", async () => {
    const many = Array.from({ length: 60 }, (_, index) => address(index + 1));
    const server = await upstream(({ isStream }) =>
      isStream ? { records: many } : { isTruncated: true },
    );
    await front("web", { servers: [server] });
    const cut = await dig("web", "+noedns", "+ignore", "many.test");
    expect(cut.flags).toContain("tc");
    const whole = await dig("web", "+noedns", "many.test");
    expect([whole.isByTcp, whole.answers.length]).toEqual([true, 60]);
    const large = await dig("web", "+bufsize=4096", "+ignore", "many.test");
    expect([large.isByTcp, large.answers.length]).toEqual([false, 60]);
  });

  test("types that nobody knows here go through unchanged", async () => {
    const bytes = Uint8Array.of(1, 2, 3, 250);
    const server = await upstream(({ type }) => ({ records: [{ type, ttl: 60, data: bytes }] }));
    await front("web", { servers: [server] });
    const { answers } = await dig("web", "TYPE65280", "odd.test");
    expect(answers).toEqual([{ ttl: 60, type: "TYPE65280", data: "\\# 4 010203FA" }]);
  });

  test("a network that leads nowhere asks nobody", async () => {
    const server = await upstream(() => found(1));
    await run("inside", "closed", { servers: [server] });
    expect((await dig("inside", "inside")).answers).toHaveLength(1);
    expect((await dig("inside", "one.test")).status).toBe("SERVFAIL");
    expect(server.asked).toEqual([]);
  });

  test("the host's servers are asked, and others as soon as its resolv.conf names others", async () => {
    const [before, after] = [await upstream(() => found(1)), await upstream(() => found(2))];
    writeFileSync(hostFile, `nameserver ${before.address}\n`);
    await front("web");
    expect(data(await dig("web", "one.test"))).toEqual(["203.0.113.1"]);
    writeFileSync(hostFile, `# moved\nnameserver ${after.address}\nsearch example.org\n`);
    expect(data(await dig("web", "one.test"))).toEqual(["203.0.113.2"]);
    expect(before.asked).toHaveLength(1);
    writeFileSync(hostFile, "");
    expect((await dig("web", "two.test")).status).toBe("SERVFAIL");
    writeFileSync(hostFile, `nameserver ${before.address}\n`);
    expect(data(await dig("web", "two.test"))).toEqual(["203.0.113.1"]);
  });

  test("names are there again with the engine, however it ended", async () => {
    const server = await upstream(() => found(1));
    const names = Array.from({ length: 5 }, (_, index) => `one${index}`);
    for (const name of names) await front(name, { servers: [server] });
    const pids = await Promise.all(names.map(pidOf));
    for (const end of [() => engine.killEngine(), () => engine.stopEngine()]) {
      await end();
      await engine.startEngine();
      // Of the first engine to answer, not of a later try.
      const answers = await Promise.all(
        pids.flatMap((pid) => [
          digAt(pid, "one4"),
          digAt(pid, "+tcp", "one4"),
          digAt(pid, "world.test"),
        ]),
      );
      expect(answers.filter(({ answers: some }) => some.length !== 1)).toEqual([]);
    }
    expect(readFileSync(hostFile, "utf8")).not.toContain("127.0.0.11");
  });
});
