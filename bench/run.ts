/**
 * Measures Tiffin side by side with docker, podman, crun and bubblewrap, as far as they are installed, and holds the figures
 * against the targets: `npm run bench [-- --only NAME] [--engine NAME] [--runs N] [--json FILE] [--markdown FILE]`. Needs
 * root, a static busybox and a quiet machine; takes about a quarter of an hour.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release } from "node:os";
import { parseArgs } from "node:util";
import { type BareProgram, barePrograms } from "./bare-programs.ts";
import { cleanUp, cleanUpOnSignals, isCleaningUp } from "./clean-up.ts";
import { commandMeasures } from "./command-measures.ts";
import { copyMeasure } from "./copy-measure.ts";
import { cpuMeasure } from "./cpu-measure.ts";
import { dockerEngine } from "./docker-engine.ts";
import { type Engine, removeContainers } from "./engine.ts";
import { healthMeasure } from "./health-measure.ts";
import { imagesListMeasure } from "./images-list-measure.ts";
import { imagesMeasure } from "./images-measure.ts";
import { imagesMemoryMeasure } from "./images-memory-measure.ts";
import { launcherMeasure } from "./launcher-measure.ts";
import { logMeasure } from "./log-measure.ts";
import { manyMeasure } from "./many-measure.ts";
import type { Bench, Measure } from "./measure.ts";
import { memoryMeasure } from "./memory-measure.ts";
import { networkCommandMeasures } from "./network-command-measures.ts";
import { networkPortsMeasure } from "./network-ports-measure.ts";
import { networkRateMeasure } from "./network-rate-measure.ts";
import { networkStartMeasure } from "./network-start-measure.ts";
import { networkTrafficMeasures } from "./network-traffic-measures.ts";
import { ociMeasure } from "./oci-measure.ts";
import { podmanEngine } from "./podman-engine.ts";
import { type Circumstances, reportText, withReport } from "./report.ts";
import { Results } from "./results.ts";
import { judge } from "./targets.ts";
import { statsMeasure } from "./stats-measure.ts";
import { tiffinEngine } from "./tiffin-engine.ts";

const measures: readonly Measure[] = [
  ...commandMeasures,
  ociMeasure,
  launcherMeasure,
  memoryMeasure,
  cpuMeasure,
  logMeasure,
  statsMeasure,
  copyMeasure,
  healthMeasure,
  imagesMeasure,
  imagesMemoryMeasure,
  imagesListMeasure,
  manyMeasure,
  ...networkCommandMeasures,
  networkStartMeasure,
  ...networkTrafficMeasures,
  networkPortsMeasure,
  networkRateMeasure,
];

const { values: given } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    engine: { type: "string", multiple: true },
    runs: { type: "string" },
    json: { type: "string" },
    markdown: { type: "string" },
  },
});

async function main(): Promise<void> {
  const chosen = chosenMeasures();
  const load = currentLoad();
  const remarks: string[] = [];
  const engines = installed(chosenEngines(remarks), remarks);
  const bare = installed(barePrograms(), remarks);
  for (const engine of engines) await engine.start();
  const results = new Results();
  const bench: Bench = {
    engines,
    bare,
    results,
    runs: (initial) => (given.runs === undefined ? initial : Number(given.runs)),
    tell: (text) => console.error(`bench: ${text}`),
    remark: (text) => remarks.push(text),
  };
  for (const measure of chosen) await attempt(measure, bench, remarks);
  const circumstances: Circumstances = {
    date: new Date().toISOString().slice(0, 10),
    kernel: release(),
    processor: `${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown processor"}`,
    load: [load, currentLoad()],
    versions: await Promise.all([...engines, ...bare].map((contender) => contender.describe())),
    remarks,
  };
  publish(results, circumstances);
}

/** A measure that fails costs the others nothing: its reason stands in the report, and the exit status tells. */
async function attempt(measure: Measure, bench: Bench, remarks: string[]): Promise<void> {
  try {
    await measure.run(bench);
  } catch (error) {
    if (isCleaningUp()) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    remarks.push(`Failed: ${measure.name}: ${reason}`);
    bench.tell(`${measure.name}: ${reason}`);
    process.exitCode = 1;
    for (const engine of bench.engines) await removeContainers(engine);
  }
}

function chosenMeasures(): readonly Measure[] {
  const { only, runs } = given;
  if (runs !== undefined && !/^[1-9]\d*$/.test(runs))
    throw new Error(`--runs ${runs}: not a count`);
  const unknown = only?.filter((name) => !measures.some((measure) => isMeant(measure, name))) ?? [];
  if (unknown.length > 0) {
    const known = measures.map(({ name }) => name).join(", ");
    throw new Error(`No measure "${unknown[0]}"; there are: ${known}`);
  }
  return only === undefined
    ? measures
    : measures.filter((measure) => only.some((name) => isMeant(measure, name)));
}

/** All, or those that `--engine` names: what docker needs minutes for can be measured without it. */
function chosenEngines(remarks: string[]): readonly Engine[] {
  const all = [tiffinEngine(remarks), dockerEngine(), podmanEngine()];
  const { engine: names } = given;
  const unknown = names?.find((name) => !all.some((engine) => engine.name === name));
  if (unknown !== undefined) throw new Error(`No engine "${unknown}"`);
  return names === undefined ? all : all.filter(({ name }) => names.includes(name));
}

/** `images` means `images-list` as well. */
function isMeant(measure: Measure, name: string): boolean {
  return measure.name === name || measure.name.startsWith(`${name}-`);
}

/** Those that can be measured; the others are told of. */
function installed<Contender extends Engine | BareProgram>(
  all: readonly Contender[],
  remarks: string[],
): Contender[] {
  for (const { name, obstacle } of all) {
    if (obstacle !== undefined) remarks.push(`Left out: ${name}: ${obstacle}.`);
  }
  return all.filter(({ obstacle }) => obstacle === undefined);
}

function currentLoad(): string {
  return (loadavg()[0] ?? Number.NaN).toFixed(2);
}

function publish(results: Results, circumstances: Circumstances): void {
  const report = reportText(results, circumstances);
  console.log(report);
  const { json, markdown } = given;
  if (json !== undefined) {
    const rows = results.rows.map((row) => ({
      ...row,
      samples: Object.fromEntries(
        results.contenders.map((name) => [name, results.sample(row.name, name)]),
      ),
    }));
    const whole = { circumstances, rows, targets: judge(results) };
    writeFileSync(json, `${JSON.stringify(whole, undefined, 2)}\n`);
  }
  if (markdown !== undefined) {
    const page = existsSync(markdown) ? readFileSync(markdown, "utf8") : "";
    writeFileSync(markdown, withReport(page, report));
  }
}

cleanUpOnSignals();
try {
  if (process.getuid?.() !== 0) throw new Error("root is needed: containers are started");
  await main();
} catch (error) {
  // What a signal has cut off fails, and that is no news.
  if (!isCleaningUp()) {
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}
const endedBySignal = isCleaningUp();
await cleanUp();
// After a signal its handler ends the process, with the status that tells of it.
if (!endedBySignal) process.exit();
