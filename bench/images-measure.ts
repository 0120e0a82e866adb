import { existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { missingPrograms, outputOf, timeCommand } from "./command.ts";
import { type Engine, perform, time } from "./engine.ts";
import {
  configuration,
  dockerArchive,
  type PackedLayer,
  packLayers,
  pushImage,
} from "./image-content.ts";
import { type Bench, type Measure, takeTurns, turnsOf } from "./measure.ts";
import { digestOf, type Registry, startRegistry } from "./registry.ts";
import type { Row } from "./results.ts";
import { scratch } from "./scratch.ts";

const MEGABYTES = 300;
const ONE: Row = { name: "pull-1", title: "`pull`, 300 MB in 1 layer", unit: "ms" };
const SIX: Row = { name: "pull-6", title: "`pull`, 300 MB in 6 layers", unit: "ms" };
const SHARED: Row = {
  name: "pull-shared",
  title: "fetched by a `pull` with 5 of 6 layers here",
  unit: "kB",
};
const LOAD: Row = { name: "load", title: "`load` of the 6 layers", unit: "ms" };
const SAVE: Row = { name: "save", title: "`save` of them into a file", unit: "ms" };
/** What the layer that is not here has: the least that can be fetched. */
const NEW_LAYER = "new layer";

/** Images in and out, each time of nothing that is here. All engines pull from one registry on this machine. */
export const imagesMeasure: Measure = {
  name: "images-transfer",
  run: async (bench) => {
    const obstacle = missingPrograms("docker-registry", "tar", "gzip");
    if (obstacle !== undefined) throw new Error(obstacle);
    bench.tell("images: packing the layers");
    const one = await packLayers(MEGABYTES, 1);
    const six = await packLayers(MEGABYTES, 6);
    const registry = await startRegistry();
    await measurePull(bench, ONE, { name: await pushImage(registry, "one", one), layers: one });
    const pulled = { name: await pushImage(registry, "six", six), layers: six };
    await measurePull(bench, SIX, pulled);
    await measureSharing(bench, registry, six);
    await measureArchives(bench, six);
  },
};

export async function pull(engine: Engine, name: string): Promise<number> {
  return time(engine, "pull", "-q", ...engine.pullOptions, name);
}

/** Removes an image, if it is there; what has to be written because of that is written. */
export async function removeImage(engine: Engine, name: string): Promise<void> {
  await perform(engine, "rmi", "-f", name).catch(() => undefined);
  await outputOf(["sync"]);
}

/** `tar` unpacks the same layers one after another into a directory beside the engines' own. */
async function measurePull(
  bench: Bench,
  row: Row,
  image: { readonly name: string; readonly layers: readonly PackedLayer[] },
): Promise<void> {
  const turns = turnsOf(bench.engines, async (engine) => {
    await removeImage(engine, image.name);
    return pull(engine, image.name);
  });
  const target = join(scratch(), "unpacked");
  turns.set("tar -x", async () => {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    await outputOf(["sync"]);
    const files = image.layers.map(({ packed }) => packed);
    const script = 'target=$1; shift; for file; do tar -xzpf "$file" -C "$target"; done';
    return timeCommand(["sh", "-ec", script, "sh", target, ...files]);
  });
  await takeTurns(bench, row, turns, bench.runs(5));
  rmSync(target, { recursive: true, force: true });
  for (const engine of bench.engines) await removeImage(engine, image.name);
}

/** Between an engine and the registry stands what counts the bytes of the answers. */
async function measureSharing(
  bench: Bench,
  registry: Registry,
  layers: readonly PackedLayer[],
): Promise<void> {
  bench.tell(SHARED.title);
  let fetched = 0;
  const counter = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("host", registry.host);
      const init = { method: request.method, headers, decompress: false } as RequestInit;
      const answer = await fetch(`http://${registry.host}${pathname}${search}`, init);
      if (request.method === "GET") fetched += Number(answer.headers.get("content-length") ?? 0);
      return answer;
    },
  });
  try {
    await pushImage(registry, "five", layers.slice(0, 5));
    for (const engine of bench.engines) {
      const names = ["five", "six"].map((name) => `127.0.0.1:${counter.port}/${name}:1`);
      for (const name of names) {
        fetched = 0;
        await pull(engine, name);
      }
      bench.results.record(SHARED, engine.name, fetched / 1000);
      for (const name of names.toReversed()) await removeImage(engine, name);
    }
  } finally {
    await counter.stop(true);
  }
  const last = layers.at(-1);
  if (last !== undefined) {
    bench.results.record(SHARED, NEW_LAYER, statSync(last.packed).size / 1000);
  }
}

async function measureArchives(bench: Bench, layers: readonly PackedLayer[]): Promise<void> {
  const archive = await dockerArchive("six", layers);
  const load = (engine: Engine): Promise<number> => time(engine, "load", "-q", "-i", archive);
  const id = digestOf(configuration(layers)).slice("sha256:".length);
  const loads = turnsOf(bench.engines, async (engine) => {
    await removeImage(engine, id);
    return load(engine);
  });
  await takeTurns(bench, LOAD, loads, bench.runs(5));
  const saved = join(scratch(), "saved.tar");
  const saves = turnsOf(bench.engines, async (engine) => {
    if (existsSync(saved)) rmSync(saved);
    await outputOf(["sync"]);
    return time(engine, "save", "-o", saved, id);
  });
  await takeTurns(bench, SAVE, saves, bench.runs(5));
  rmSync(saved);
  for (const engine of bench.engines) await removeImage(engine, id);
}
