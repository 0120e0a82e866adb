import { missingPrograms } from "./command.ts";
import type { Engine } from "./engine.ts";
import { packLayers, pushImage } from "./image-content.ts";
import { pull, removeImage } from "./images-measure.ts";
import type { Bench, Measure } from "./measure.ts";
import { daemonMemory } from "./memory-measure.ts";
import { startRegistry } from "./registry.ts";
import type { Row } from "./results.ts";

const ROW: Row = {
  name: "pull-memory",
  title: "the engine's peak while it pulls 1 GB (Pss)",
  unit: "kB",
};
const SAMPLE_MS = 50;

/** The most memory that an engine's daemons are seen with, twenty times a second, while an image of 1 GB in 6 layers comes. */
export const imagesMemoryMeasure: Measure = {
  name: "images-memory",
  run: async (bench) => {
    const obstacle = missingPrograms("docker-registry", "tar", "gzip");
    if (obstacle !== undefined) throw new Error(obstacle);
    bench.tell("images: packing 1 GB");
    const layers = await packLayers(1000, 6);
    const name = await pushImage(await startRegistry(), "large", layers);
    const engines = bench.engines.filter((engine) => engine.daemons().length > 0);
    for (let run = 0; run < bench.runs(2); run++) {
      for (const engine of engines) {
        bench.tell(`${ROW.title}: ${engine.name}`);
        bench.results.record(ROW, engine.name, await peakOf(bench, engine, name));
      }
    }
  },
};

async function peakOf(bench: Bench, engine: Engine, name: string): Promise<number> {
  let peak = 0;
  const timer = setInterval(() => {
    try {
      peak = Math.max(peak, daemonMemory(engine));
    } catch (error) {
      // A child of a daemon ended between being listed and being looked at: the next sample sees the others.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") bench.tell(String(error));
    }
  }, SAMPLE_MS);
  try {
    await pull(engine, name);
  } finally {
    clearInterval(timer);
    await removeImage(engine, name);
  }
  return peak;
}
