import { type Engine, perform, remove, time } from "./engine.ts";
import { type Bench, type Measure, takeTurns } from "./measure.ts";
import { daemonMemory, pidBeside, REST_MS } from "./memory-measure.ts";
import { stayingOnBridge } from "./network-command-measures.ts";
import { networkedEngines } from "./network-engines.ts";
import { memoryOf } from "./processes.ts";
import type { Row } from "./results.ts";

const PORTS = 1000;
const FIRST = 20_000;

const RUN: Row = {
  name: "network-ports",
  title: `\`run -d\`: with a range of ${PORTS} published ports, ${PORTS} single ones, none`,
  unit: "ms",
};
const MEMORY: Row = {
  name: "network-ports-memory",
  title: `memory for each of ${PORTS} single published ports (Pss of all processes)`,
  unit: "kB",
};
const RANGE = ["-p", `${FIRST}-${FIRST + PORTS - 1}:${FIRST}-${FIRST + PORTS - 1}`];
/** No two beside each other: nothing can be taken together. */
const SINGLE = Array.from({ length: PORTS }, (_, index) => FIRST + 2 * index).flatMap((port) => [
  "-p",
  `${port}:${port}`,
]);

/** Contenders of the row are the three ways to start. Tiffin alone: the others run a process, or some rules, for each port. */
export const networkPortsMeasure: Measure = {
  name: "network-ports",
  run: async (bench) => {
    const networked = await networkedEngines(bench);
    const engine = networked.find((one) => one.engine.name === "tiffin")?.engine;
    if (engine === undefined) return;
    const turn = (options: readonly string[]) => async (): Promise<number> => {
      const took = await time(engine, ...stayingOnBridge(engine, "bench", ...options));
      await remove(engine, "bench");
      return took;
    };
    const turns = new Map([
      ["none", turn([])],
      ["range", turn(RANGE)],
      ["single", turn(SINGLE)],
    ]);
    await takeTurns(bench, RUN, turns, bench.runs(20));
    await measureMemory(bench, engine);
  },
};

async function measureMemory(bench: Bench, engine: Engine): Promise<void> {
  bench.tell(`${MEMORY.title}: at rest`);
  const without = await memoryWith(engine, []);
  const ports = await memoryWith(engine, SINGLE);
  bench.results.record(MEMORY, engine.name, (ports - without) / PORTS);
}

/** kB of the engine and what is beside a container, at rest. */
async function memoryWith(engine: Engine, options: readonly string[]): Promise<number> {
  await perform(engine, ...stayingOnBridge(engine, "bench", ...options));
  await Bun.sleep(REST_MS);
  const used = daemonMemory(engine) + memoryOf(await pidBeside(engine, "bench")).pss;
  await remove(engine, "bench");
  return used;
}
