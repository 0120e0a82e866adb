import { type Engine, perform, remove, time, timeRemoval } from "./engine.ts";
import { type Bench, type Measure, takeTurns, type Turn } from "./measure.ts";
import { type NetworkedEngine, networkedEngines } from "./network-engines.ts";
import type { Row } from "./results.ts";

/** What each `run` of a container with a network begins with: that of the engine by itself, its default bridge. */
export function onBridge(engine: Engine, ...args: readonly string[]): string[] {
  return ["run", ...engine.runOptions, ...args];
}

/** The same, for a container that stays until SIGTERM. */
export function stayingOnBridge(
  engine: Engine,
  name: string,
  ...options: readonly string[]
): string[] {
  const script = "trap 'exit 0' TERM; sleep 100000 & wait";
  const words = ["-d", "--name", name, ...options, "busybox", "sh", "-c", script];
  return onBridge(engine, ...words);
}

export function networkTurns(
  engines: readonly NetworkedEngine[],
  turn: (one: NetworkedEngine) => Promise<number>,
): Map<string, Turn> {
  return new Map(engines.map((one) => [one.engine.name, () => turn(one)]));
}

const run: Measure = {
  name: "network-run",
  run: async (bench) => {
    const row: Row = { name: "network-run", title: "`run --rm IMAGE true`, bridge", unit: "ms" };
    const turns = networkTurns(await networkedEngines(bench), ({ engine }) =>
      time(engine, ...onBridge(engine, "--rm", "busybox", "true")),
    );
    await takeTurns(bench, row, turns, bench.runs(30));
  },
};

const MANY = 50;
const IN_FLIGHT = 8;

const START: Row = {
  name: "network-many",
  title: `\`run -d\` of ${MANY}, ${IN_FLIGHT} in flight, bridge`,
  unit: "ms",
};
const REMOVAL: Row = { name: "network-many-rm", title: `\`rm -f\` of these ${MANY}`, unit: "ms" };
const BOTH: Row = { name: "network-many-both", title: "both together", unit: "ms" };

const many: Measure = {
  name: "network-many",
  run: async (bench) => {
    const engines = await networkedEngines(bench);
    const names = Array.from({ length: MANY }, (_, index) => `many-${index + 1}`);
    const runs = bench.runs(5);
    bench.tell(`${START.title}: ${runs} runs`);
    for (const { engine } of engines) {
      await perform(engine, ...stayingOnBridge(engine, "warm-up"));
      await remove(engine, "warm-up");
    }
    for (let round = 0; round < runs; round++) {
      for (const { engine } of engines) await startAndRemove(bench, engine, names);
    }
  },
};

async function startAndRemove(
  bench: Bench,
  engine: Engine,
  names: readonly string[],
): Promise<void> {
  const begin = performance.now();
  await inFlight(IN_FLIGHT, names, (name) => perform(engine, ...stayingOnBridge(engine, name)));
  const started = performance.now() - begin;
  const removed = await timeRemoval(engine, ...names);
  bench.results.record(START, engine.name, started);
  bench.results.record(REMOVAL, engine.name, removed);
  bench.results.record(BOTH, engine.name, started + removed);
}

/** Does something to each, `width` at a time. */
async function inFlight(
  width: number,
  names: readonly string[],
  act: (name: string) => Promise<void>,
): Promise<void> {
  const left = names.values();
  const worker = async (): Promise<void> => {
    for (const name of left) await act(name);
  };
  await Promise.all(Array.from({ length: width }, worker));
}

export const networkCommandMeasures: readonly Measure[] = [run, many];
