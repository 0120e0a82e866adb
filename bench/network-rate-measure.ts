import { outputOf } from "./command.ts";
import { output, perform, remove } from "./engine.ts";
import type { Bench, Measure } from "./measure.ts";
import { onBridge } from "./network-command-measures.ts";
import { type NetworkedEngine, networkedEngines } from "./network-engines.ts";
import { NETWORK_IMAGE, throughputObstacle } from "./network-image.ts";
import { bitsPerSecond } from "./network-traffic-measures.ts";
import type { Row } from "./results.ts";

const PORT = "5201";
const SETTLE_MS = 300;
/** After the first second, in which the bucket's own content is spent. */
const SECONDS = ["-O", "1", "-t", "4"];

const ASKED = [
  { down: 20, up: 10 },
  { down: 400, up: 200 },
] as const;

export function rateRow(direction: "down" | "up", megabits: number): Row {
  return {
    name: `network-rate-${direction}-${megabits}`,
    title: `\`--net-rate\` ${direction}, ${megabits} Mbit/s asked: off by`,
    unit: "%",
  };
}

/** All of them. */
export const RATE_ROWS: readonly Row[] = ASKED.flatMap(({ down, up }) => [
  rateRow("down", down),
  rateRow("up", up),
]);

/** How far what arrives is from what was asked for, by TCP: its headers count for the rate, and not for what arrives. */
export const networkRateMeasure: Measure = {
  name: "network-rate",
  run: async (bench) => {
    if (throughputObstacle !== undefined) throw new Error(throughputObstacle);
    const networked = await networkedEngines(bench);
    const one = networked.find(({ engine }) => engine.name === "tiffin");
    if (one === undefined) return;
    for (const asked of ASKED) await measureRate(bench, one, asked);
  },
};

async function measureRate(
  bench: Bench,
  { engine, network }: NetworkedEngine,
  { down, up }: (typeof ASKED)[number],
): Promise<void> {
  const rate = ["--net-rate", `${down}mbit/${up}mbit`];
  const server = ["-d", "--name", "server", ...rate, NETWORK_IMAGE, "iperf3", "-s"];
  await perform(engine, ...onBridge(engine, ...server));
  await Bun.sleep(SETTLE_MS);
  const address = await output(
    engine,
    "inspect",
    "--format",
    "{{.NetworkSettings.IPAddress}}",
    "server",
  );
  const client = [...network.enter, "iperf3", "-J", ...SECONDS, "-c", address, "-p", PORT];
  const runs = bench.runs(3);
  bench.tell(`--net-rate ${down}mbit/${up}mbit: ${runs} runs`);
  for (let run = 0; run < runs; run++) {
    for (const [direction, megabits, options] of [
      ["down", down, []],
      ["up", up, ["-R"]],
    ] as const) {
      const arrived = bitsPerSecond(await outputOf([...client, ...options])) / 1e6;
      const off = Math.abs(arrived / megabits - 1) * 100;
      bench.results.record(rateRow(direction, megabits), engine.name, off);
    }
  }
  await remove(engine, "server");
}
