import { type Engine, perform, time } from "./engine.ts";
import { dockerArchive, packLayers } from "./image-content.ts";
import { outputOf } from "./command.ts";
import { type Bench, type Measure, takeTurns, turnsOf } from "./measure.ts";
import type { Row } from "./results.ts";

const IMAGES = 1000;
const COMMAND: Row = { name: "image-ls", title: "`image ls`, 1,000 images", unit: "ms" };
const REQUEST: Row = {
  name: "image-ls-engine",
  title: "the engine's answer to it, `GET /images/json`",
  unit: "ms",
};

/** A thousand images of one small layer that differ in their configurations. Podman needs minutes to load them and has no engine. */
export const imagesListMeasure: Measure = {
  name: "images-list",
  run: async (bench) => {
    const archive = await dockerArchive("listed", await packLayers(1, 1), IMAGES);
    const engines = bench.engines.filter((engine) => socketOf(engine) !== undefined);
    for (const engine of engines) {
      bench.tell(`${COMMAND.title}: ${engine.name} loads them`);
      await perform(engine, "load", "-q", "-i", archive);
    }
    try {
      await measure(bench, engines);
    } finally {
      for (const engine of engines) await removeAll(engine);
    }
  },
};

async function measure(bench: Bench, engines: readonly Engine[]): Promise<void> {
  const whole = turnsOf(engines, (engine) => time(engine, "image", "ls"));
  await takeTurns(bench, COMMAND, whole, bench.runs(5));
  await takeTurns(bench, REQUEST, turnsOf(engines, timeRequest), bench.runs(20));
}

/** Milliseconds until the whole answer is here: a little more than the engine needs for it. */
async function timeRequest(engine: Engine): Promise<number> {
  const start = performance.now();
  const options = { unix: socketOf(engine) ?? "" } as RequestInit;
  const list = await (await fetch("http://localhost/images/json", options)).text();
  const took = performance.now() - start;
  const { length } = JSON.parse(list) as unknown[];
  if (length < IMAGES) throw new Error(`${engine.name} lists ${length} images`);
  return took;
}

function socketOf({ environment }: Engine): string | undefined {
  const host = environment["TIFFIN_HOST"] ?? environment["DOCKER_HOST"];
  return host?.slice("unix://".length);
}

async function removeAll({ client, environment }: Engine): Promise<void> {
  const names = Array.from({ length: IMAGES }, (_, index) => `listed:${index + 1}`);
  await outputOf([...client, "rmi", "-f", ...names], { environment });
}
