/** Many containers come and go, several at a time: addresses are had once, and the host is as before. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { callOk } from "./engine-api.ts";
import {
  type EngineFixture,
  engineObstacle,
  openEngineFixture,
  readyContainers,
  until,
} from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: many containers: ${engineObstacle}`);

setDefaultTimeout(300_000);

const ROUNDS = 6;
const IN_FLIGHT = 8;

describe.skipIf(engineObstacle !== undefined)("many containers", () => {
  let engine: EngineFixture;

  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox("bb");
  });
  afterAll(() => engine.close());

  /** Ports of the engine's bridge, without those of containers that nobody has asked for yet. */
  const ports = async (): Promise<string[]> => {
    const ready = (await readyContainers(engine)).map((id) => `tv${id.slice(0, 8)}`);
    return readdirSync(`/sys/class/net/tiffin-${engine.engineId.slice(0, 8)}/brif`).filter(
      (port) => !ready.some((start) => port.startsWith(start)),
    );
  };

  async function begin(name: string): Promise<{ address: string; port: string }> {
    await callOk(engine, "POST", `/containers/create?name=${name}`, {
      Image: "bb",
      Cmd: ["sleep", "1000"],
      HostConfig: { PortBindings: { "80/tcp": [{ HostIp: "", HostPort: "" }] } },
    });
    await callOk(engine, "POST", `/containers/${name}/start`);
    const { NetworkSettings: settings } = await callOk<{
      NetworkSettings: { IPAddress: string; Ports: Record<string, { HostPort: string }[]> };
    }>(engine, "GET", `/containers/${name}/json`);
    return { address: settings.IPAddress, port: settings.Ports["80/tcp"]?.[0]?.HostPort ?? "" };
  }

  test("have addresses and ports of their own, and leave nothing", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const names = Array.from({ length: IN_FLIGHT }, (_, index) => `box-${round}-${index}`);
      const begun = await Promise.all(names.map(begin));
      expect(new Set(begun.map(({ address }) => address)).size).toBe(IN_FLIGHT);
      expect(new Set(begun.map(({ port }) => port)).size).toBe(IN_FLIGHT);
      await Promise.all(
        names.map((name) => callOk(engine, "DELETE", `/containers/${name}?force=1`)),
      );
    }
    await until("the last interface is gone", async () => (await ports()).length === 0);
    expect(await unownedResources(engine)).toEqual([]);
    if (Bun.which("nft") !== null) {
      const table = `tiffin-${engine.engineId.slice(0, 8)}`;
      const shown = Bun.spawnSync(["nft", "list", "table", "inet", table]).stdout.toString();
      expect(shown).toContain("map open4");
      expect(shown).not.toContain("tcp . ");
    }
  });

  test("run out of addresses with words that say so, and run again when one is free", async () => {
    await engine.tiffinOk("network", "create", "--subnet", "10.77.9.0/29", "small");
    const run = (name: string) =>
      engine.tiffin(["run", "-d", "--name", name, "--network", "small", "bb", "sleep", "1000"]);
    for (const name of ["one", "two", "three", "four", "five"]) {
      expect((await run(name)).status).toBe(0);
    }
    const late = await run("six");
    expect(late.status).toBe(125);
    expect(late.stderr).toContain("no available IPv4 addresses in the pool 10.77.9.0/29");
    await engine.tiffinOk("rm", "-f", "three");
    expect((await engine.tiffin(["start", "six"])).status).toBe(0);
    await engine.removeContainers();
    await engine.tiffinOk("network", "rm", "small");
  });
});
