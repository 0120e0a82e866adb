import { backgroundArguments, type Engine, perform, remove, time, timeRemoval } from "./engine.ts";
import type { Bench, Measure } from "./measure.ts";
import { daemonMemory, pidBeside, REST_MS } from "./memory-measure.ts";
import { availableMemory, memoryOf } from "./processes.ts";
import type { Row } from "./results.ts";

export const MANY = 200;
/** A single start says little: the first and the last so many are held against each other. */
const EDGE = 10;

const FIRST: Row = {
  name: "many-first",
  title: `\`run -d\`, 1st to ${EDGE}th container`,
  unit: "ms",
};
const LAST: Row = {
  name: "many-last",
  title: `\`run -d\`, ${MANY - EDGE + 1}st to ${MANY}th container`,
  unit: "ms",
};
const BESIDE: Row = {
  name: "many-beside",
  title: `beside each of ${MANY} containers (Pss)`,
  unit: "kB",
};
const DAEMONS: Row = {
  name: "many-engine",
  title: `the engine with ${MANY} containers (Pss)`,
  unit: "kB",
};
const MACHINE: Row = {
  name: "many-machine",
  title: `the machine's memory, each of ${MANY} containers, all counted`,
  unit: "kB",
};
const REMOVAL: Row = { name: "many-rm", title: `\`rm -f\` of ${MANY}`, unit: "ms" };

/**
 * Many running containers. One engine after the other: each start copies the host's mounts, and those of another engine's
 * containers would count as this one's slowness.
 */
export const manyMeasure: Measure = {
  name: "many",
  run: async (bench) => {
    for (const engine of bench.engines) await measureMany(bench, engine);
  },
};

async function measureMany(bench: Bench, engine: Engine): Promise<void> {
  bench.tell(`${MANY} containers: ${engine.name}`);
  // A cold first start would flatter the last.
  await perform(engine, ...backgroundArguments(engine, "warm-up"));
  await remove(engine, "warm-up");
  const before = availableMemory();
  const names = Array.from({ length: MANY }, (_, index) => `many-${index + 1}`);
  const took: number[] = [];
  for (const name of names) took.push(await time(engine, ...backgroundArguments(engine, name)));
  for (const value of took.slice(0, EDGE)) bench.results.record(FIRST, engine.name, value);
  for (const value of took.slice(-EDGE)) bench.results.record(LAST, engine.name, value);
  bench.tell(`${engine.name}, ${curve(took)}`);
  await Bun.sleep(REST_MS);
  const used = before - availableMemory();
  for (const name of names) {
    bench.results.record(BESIDE, engine.name, memoryOf(await pidBeside(engine, name)).pss);
  }
  if (engine.daemons().length > 0) bench.results.record(DAEMONS, engine.name, daemonMemory(engine));
  bench.results.record(MACHINE, engine.name, used / MANY);
  bench.results.record(REMOVAL, engine.name, await timeRemoval(engine, ...names));
}

/** "start 1: 31 ms, 20: 30 ms …": each figure the median of the ten starts around it. */
function curve(took: readonly number[]): string {
  const points = [1, 25, 50, 100, 150, took.length];
  return points
    .map((point) => {
      const from = Math.min(Math.max(0, point - EDGE / 2), took.length - EDGE);
      const near = took.slice(from, from + EDGE).toSorted((a, b) => a - b);
      return `start ${point}: ${near[near.length >> 1]?.toFixed(1)} ms`;
    })
    .join(", ");
}
