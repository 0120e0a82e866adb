import { outputOf } from "./command.ts";
import { output, perform, remove } from "./engine.ts";
import { type Measure, takeTurns } from "./measure.ts";
import { networkTurns, onBridge } from "./network-command-measures.ts";
import { type NetworkedEngine, networkedEngines } from "./network-engines.ts";
import { connectionsProgram, NETWORK_IMAGE, throughputObstacle } from "./network-image.ts";
import { HOST_ADDRESS } from "./own-network.ts";
import type { Row } from "./results.ts";

const SETTLE_MS = 300;
const SECONDS = 3;
const THROUGHPUT_PORT = 5201;
const CONNECTIONS_PORT = 7000;
const CONNECTIONS = 2000;

const BETWEEN: Row = {
  name: "network-between",
  title: "TCP from container to container",
  unit: "Gbit/s",
};
const PUBLISHED: Row = {
  name: "network-published",
  title: "TCP to a published port, from the host at its own address",
  unit: "Gbit/s",
};
const LOOPBACK: Row = {
  name: "network-loopback",
  title: "TCP to a published port, at 127.0.0.1",
  unit: "Gbit/s",
};

const throughput: Measure = {
  name: "network-throughput",
  run: async (bench) => {
    if (throughputObstacle !== undefined) throw new Error(throughputObstacle);
    const engines = await networkedEngines(bench);
    await withServer(engines, ["iperf3", "-s"], THROUGHPUT_PORT, async () => {
      for (const { engine } of engines) {
        const idle = ["-d", "--name", "client", NETWORK_IMAGE, "sleep", "100000"];
        await perform(engine, ...onBridge(engine, ...idle));
      }
      const runs = bench.runs(7);
      await takeTurns(bench, BETWEEN, networkTurns(engines, betweenContainers), runs);
      const published = toPublished(HOST_ADDRESS);
      await takeTurns(bench, PUBLISHED, networkTurns(engines, published), runs);
      await takeTurns(bench, LOOPBACK, networkTurns(engines, toPublished("127.0.0.1")), runs);
      for (const { engine } of engines) await remove(engine, "client");
    });
  },
};

async function betweenContainers({ engine }: NetworkedEngine): Promise<number> {
  const address = await output(
    engine,
    "inspect",
    "--format",
    "{{.NetworkSettings.IPAddress}}",
    "server",
  );
  const words = ["iperf3", "-J", "-t", `${SECONDS}`, "-c", address];
  return gigabits(await output(engine, "exec", "client", ...words));
}

function toPublished(address: string): (one: NetworkedEngine) => Promise<number> {
  const port = `${THROUGHPUT_PORT}`;
  const ask = ["iperf3", "-J", "-t", `${SECONDS}`];
  return async ({ network }) =>
    gigabits(await outputOf([...network.enter, ...ask, "-c", address, "-p", port]));
}

/** What arrived. */
function gigabits(json: string): number {
  return bitsPerSecond(json) / 1e9;
}

/** From iperf3's report. */
export function bitsPerSecond(json: string): number {
  const report = JSON.parse(json) as { end: { sum_received: { bits_per_second: number } } };
  return report.end.sum_received.bits_per_second;
}

const connections: Measure = {
  name: "network-connections",
  run: async (bench) => {
    const row: Row = {
      name: "network-connections",
      title: `a connection with one byte through 127.0.0.1:PORT, each of ${CONNECTIONS}`,
      unit: "µs",
    };
    const engines = await networkedEngines(bench);
    const program = await connectionsProgram();
    const port = `${CONNECTIONS_PORT}`;
    const turn = async ({ network }: NetworkedEngine): Promise<number> => {
      const words = [program, "ask", "127.0.0.1", port, `${CONNECTIONS}`];
      return Number(await outputOf([...network.enter, ...words])) / 1000 / CONNECTIONS;
    };
    await withServer(engines, ["connections", "serve", port], CONNECTIONS_PORT, () =>
      takeTurns(bench, row, networkTurns(engines, turn), bench.runs(10)),
    );
  },
};

/** While each engine runs a container `server`, whose port is published at the same number. */
async function withServer(
  engines: readonly NetworkedEngine[],
  command: readonly string[],
  port: number,
  act: () => Promise<void>,
): Promise<void> {
  for (const { engine } of engines) {
    const words = ["-d", "--name", "server", "-p", `${port}:${port}`, NETWORK_IMAGE, ...command];
    await perform(engine, ...onBridge(engine, ...words));
  }
  await Bun.sleep(SETTLE_MS);
  await act();
  for (const { engine } of engines) await remove(engine, "server");
}

export const networkTrafficMeasures: readonly Measure[] = [throughput, connections];
