/**
 * A container with a network of its own and published ports starts and stops again and again, and the host is as before: on a host
 * of the test's own. TIFFIN_CHURN says how often (2000 for a thorough look).
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { callOk } from "./engine-api.ts";
import { type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { descriptorKinds, unownedResources } from "./leak-check.ts";
import { closeTestHost, openTestHost, type TestHost, testHostObstacle } from "./test-host.ts";

if (testHostObstacle !== undefined) console.log(`skipped: start and stop: ${testHostObstacle}`);

const CYCLES = Number(process.env["TIFFIN_CHURN"] ?? 60);
const IN_FLIGHT = 2;

setDefaultTimeout(60_000 + CYCLES * 2000);

for (const policy of ["docker", "host", "none"]) {
  describe.skipIf(testHostObstacle !== undefined)(`start and stop, policy ${policy}`, () => {
    let host: TestHost;
    let engine: EngineFixture;

    beforeAll(async () => {
      host = openTestHost();
      engine = await openEngineFixture({ tiffin: host.tiffin, env: { TIFFIN_FIREWALL: policy } });
      await engine.importBusybox("bb");
      await engine.tiffinOk("network", "create", "--ipv6", "front");
    });
    afterAll(async () => {
      await engine.tiffinOk("network", "rm", "front");
      await closeTestHost(host, engine);
    });

    const output = (...words: string[]): string =>
      Bun.spawnSync([...host.here, ...words]).stdout.toString();
    /** Interfaces, rules and their elements, namespaces that interfaces lead into, and what the engine holds open. */
    const state = (): Record<string, unknown> & { sockets: number } => {
      const { socket: sockets = 0, ...kinds } = descriptorKinds(engine.pid());
      // Threads of the runtime that have nothing to do end, with the descriptors that they wait on.
      const descriptors = Object.fromEntries(
        Object.entries(kinds).filter(([kind]) => !/\[event(fd|poll)\]$/.test(kind)),
      );
      return { ...hostState(), descriptors, sockets };
    };
    const hostState = (): Record<string, unknown> => ({
      interfaces: host.interfaces().toSorted(),
      rules: output("nft", "list", "ruleset"),
      namespaces: output("ip", "netns", "list-id").split("\n").length,
      addresses: output("ip", "-o", "address").split("\n").length,
      routes: output("ip", "-o", "route").split("\n").length,
    });

    async function cycle(number: number): Promise<void> {
      const name = `box-${number}`;
      const [port, first] = [10_000 + (number % 1000), 20_000 + (number % 1000) * 4];
      await callOk(engine, "POST", `/containers/create?name=${name}`, {
        Image: "bb",
        Cmd: ["sleep", "1000"],
        HostConfig: {
          NetworkMode: number % 2 === 0 ? "front" : "bridge",
          PortBindings: {
            "80/tcp": [{ HostIp: "", HostPort: String(port) }],
            ...Object.fromEntries(
              [0, 1, 2].map((index) => [
                `${first + index}/udp`,
                [{ HostIp: "", HostPort: String(first + index) }],
              ]),
            ),
          },
        },
      });
      await callOk(engine, "POST", `/containers/${name}/start`);
      if (number % 10 === 0) {
        const ports = await engine.tiffinOk("port", name);
        expect(ports).toContain(`80/tcp -> 0.0.0.0:${port}`);
      }
      await callOk(engine, "DELETE", `/containers/${name}?force=1`);
    }

    async function cycles(first: number, count: number): Promise<void> {
      let next = first;
      const worker = async (): Promise<void> => {
        while (next < first + count) {
          next += 1;
          await cycle(next);
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    }

    test(`${CYCLES} times, and the host has what it had before`, async () => {
      await cycles(0, 4);
      await until("the first ones are gone", () => host.interfaces().length === 2);
      await Bun.sleep(500);
      const before = state();
      await cycles(4, CYCLES);
      const isAsBefore = (): boolean =>
        Bun.deepEquals({ ...state(), sockets: before.sockets }, before);
      await until("all is as before", isAsBefore, 20_000).catch(() => undefined);
      const after = state();
      expect({ ...after, sockets: before.sockets }).toEqual(before);
      // Some are those of clients, and of containers that are begun ahead.
      expect(after.sockets - before.sockets).toBeLessThan(5);
      expect(await unownedResources(engine)).toEqual([]);
    });
  });
}
