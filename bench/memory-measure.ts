import { withContainers } from "./command-measures.ts";
import { containerPid, type Engine } from "./engine.ts";
import type { Bench, Measure } from "./measure.ts";
import { memoryOf, parentOf } from "./processes.ts";
import type { Row } from "./results.ts";

/** What is given back when nothing happens has been given back by then. */
export const REST_MS = 8000;

export const BESIDE: Row = {
  name: "beside",
  title: "beside each of 10 containers (Pss)",
  unit: "kB",
};
export const IDLE: Row = { name: "idle", title: "the engine, idle (Pss)", unit: "kB" };
const CONTAINERS = 10;

/** Memory beside each container (supervisor, shim, conmon), and of the engine when it has nothing to do. */
export const memoryMeasure: Measure = {
  name: "memory",
  run: async (bench) => {
    await withContainers(bench, CONTAINERS, async () => {
      bench.tell(`${BESIDE.title}: at rest`);
      await Bun.sleep(REST_MS);
      for (const engine of bench.engines) {
        for (let index = 1; index <= CONTAINERS; index++) {
          const { pss } = memoryOf(await pidBeside(engine, `bench-${index}`));
          bench.results.record(BESIDE, engine.name, pss);
        }
      }
    });
    bench.tell(`${IDLE.title}: at rest`);
    await Bun.sleep(REST_MS);
    recordIdle(bench);
  },
};

function recordIdle(bench: Bench): void {
  for (const engine of bench.engines) {
    if (engine.daemons().length > 0) bench.results.record(IDLE, engine.name, daemonMemory(engine));
  }
}

/** Pss of all of an engine's daemons, kB. */
export function daemonMemory(engine: Engine): number {
  return engine.daemons().reduce((sum, pid) => sum + memoryOf(pid).pss, 0);
}

/** The process beside a container: supervisor, shim or conmon. */
export async function pidBeside(engine: Engine, name: string): Promise<number> {
  return parentOf(await containerPid(engine, name));
}
