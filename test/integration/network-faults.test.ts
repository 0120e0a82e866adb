/** The fault points of networks (docs/reference/fault-points.md), and what others do to the host's side of them. */
import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { callApi, callOk } from "./engine-api.ts";
import { engineObstacle, type EngineFixture, openEngineFixture, until } from "./engine-fixture.ts";
import { unownedResources } from "./leak-check.ts";

if (engineObstacle !== undefined) console.log(`skipped: faults of networks: ${engineObstacle}`);

setDefaultTimeout(120_000);

let engine: EngineFixture;

async function create(name: string, hostConfig: object = {}): Promise<void> {
  await callOk(engine, "POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    Cmd: ["sleep", "1000"],
    HostConfig: hostConfig,
  });
}

async function start(name: string, hostConfig: object = {}): Promise<void> {
  await create(name, hostConfig);
  await callOk(engine, "POST", `/containers/${name}/start`);
}

async function networksOf(name: string): Promise<string[]> {
  const { NetworkSettings: settings } = await callOk<{
    NetworkSettings: { Networks: Record<string, object> };
  }>(engine, "GET", `/containers/${name}/json`);
  return Object.keys(settings.Networks).toSorted();
}

/** Calls an engine that dies at the fault point, and starts the next one. */
async function dieAt(fault: string, method: string, path: string, body?: object): Promise<void> {
  await engine.killEngine();
  await engine.startEngine({ TIFFIN_FAULT: fault });
  await callApi(engine, method, path, body).catch(() => undefined);
  expect(await engine.engineEnded()).toBe("SIGKILL");
  await engine.startEngine();
}

/** The engine's table in the host's firewall, as nft shows it. */
function table(): string {
  const name = `tiffin-${engine.engineId.slice(0, 8)}`;
  return Bun.spawnSync(["nft", "list", "table", "inet", name]).stdout.toString();
}

const hasNft = Bun.which("nft") !== null;
if (!hasNft) console.log("skipped: a flushed firewall: this needs nft (Debian's nftables)");

const published = { PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "28080" }] } };

describe.skipIf(engineObstacle !== undefined)("an engine that is killed at", () => {
  beforeAll(async () => {
    engine = await openEngineFixture();
    await engine.importBusybox();
  });
  afterEach(async () => {
    await engine.removeContainers();
    await engine.tiffinOk("network", "prune", "-f");
    expect(await unownedResources(engine)).toEqual([]);
  });
  afterAll(async () => await engine.close());

  for (const fault of ["network:published", "network:recorded"]) {
    test(`${fault}: nothing ran, and its address and port are free`, async () => {
      await create("web", published);
      await dieAt(fault, "POST", "/containers/web/start");
      await start("other", published);
      if (hasNft) expect(table().match(/28080/g)).toHaveLength(1);
    });
  }

  test("network:created: the network is there, and has a bridge for its first container", async () => {
    await dieAt("network:created", "POST", "/networks/create", { Name: "front" });
    await start("web", { NetworkMode: "front" });
    expect(await networksOf("web")).toEqual(["front"]);
  });

  test("network:removing: the network is there, and can be used and removed", async () => {
    await callOk(engine, "POST", "/networks/create", { Name: "front" });
    await dieAt("network:removing", "DELETE", "/networks/front");
    await start("web", { NetworkMode: "front" });
  });

  test("network:removed: the network is gone, and its name is free", async () => {
    await callOk(engine, "POST", "/networks/create", { Name: "front" });
    await dieAt("network:removed", "DELETE", "/networks/front");
    await callOk(engine, "POST", "/networks/create", { Name: "front" });
  });

  test("network:connecting: the container is in its network as before, and can be connected", async () => {
    await callOk(engine, "POST", "/networks/create", { Name: "front" });
    await start("web");
    await dieAt("network:connecting", "POST", "/networks/front/connect", { Container: "web" });
    expect(await networksOf("web")).toEqual(["bridge"]);
    await callOk(engine, "POST", "/networks/front/connect", { Container: "web" });
    expect(await engine.tiffinOk("exec", "web", "ip", "link")).toContain("eth1");
  });

  test("network:connected: the container is in both networks", async () => {
    await callOk(engine, "POST", "/networks/create", { Name: "front" });
    await start("web");
    await dieAt("network:connected", "POST", "/networks/front/connect", { Container: "web" });
    expect(await networksOf("web")).toEqual(["bridge", "front"]);
  });

  test("network:disconnecting: the container is out of the network", async () => {
    await start("web");
    await dieAt("network:disconnecting", "POST", "/networks/bridge/disconnect", {
      Container: "web",
    });
    expect(await networksOf("web")).toEqual([]);
    expect(await engine.tiffinOk("exec", "web", "ip", "link")).not.toContain("eth0");
  });

  test.skipIf(!hasNft)(
    "no point, while somebody flushes the firewall: it is whole again",
    async () => {
      await start("web", published);
      expect(table()).toContain("28080");
      const name = `tiffin-${engine.engineId.slice(0, 8)}`;
      Bun.spawnSync(["nft", "delete", "table", "inet", name]);
      engine.expectLog(/ is gone: nft .* it is put back$/);
      await until("the table is there again", () => table().includes("28080"));
      expect((await engine.tiffin(["system", "check"])).status).toBe(0);
      await start("other", {
        PortBindings: { "81/tcp": [{ HostIp: "127.0.0.1", HostPort: "28081" }] },
      });
      expect(table()).toContain("28080");
      expect(table()).toContain("28081");
    },
  );
});
