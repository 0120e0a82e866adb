/**
 * Measures Tiffin beside docker, podman, crun and bubblewrap in one run: `npm run bench [-- --markdown FILE]`. Root, the peers
 * installed (docker.io podman crun bubblewrap), a quiet machine; an engine that is missing is left out with its reason.
 */
import { loadavg, release } from "node:os";
import { parseArgs } from "node:util";
import { type Contender, docker, podman, removeScratch, tiffin } from "./contenders.ts";
import {
  type LogFigures,
  measure,
  measureBare,
  measureLauncher,
  measureLog,
  measureMany,
  MEASURES,
} from "./measures.ts";
import { pssKilobytes, type Sample } from "./statistics.ts";

const { values } = parseArgs({
  options: { markdown: { type: "string" }, many: { type: "string", default: "200" } },
});

async function main(): Promise<void> {
  const all = [tiffin(), docker(), podman()];
  for (const { name, obstacle } of all) if (obstacle) console.log(`skipped: ${name}: ${obstacle}`);
  const contenders = all.filter(({ obstacle }) => obstacle === undefined);
  const lines: string[] = [];
  const say = (line: string): void => {
    console.log(line);
    lines.push(line);
  };
  try {
    for (const contender of contenders) await contender.start();
    say(
      `Linux ${release()}, load ${loadavg()[0]?.toFixed(2)}, ${new Date().toISOString().slice(0, 10)}. Milliseconds, median (p10 to p95).\n`,
    );
    await commands(contenders, say);
    await logs(contenders, say);
    await own(contenders[0], say);
  } finally {
    for (const contender of contenders)
      await contender.stop().catch((error: unknown) => console.error(contender.name, error));
    removeScratch();
  }
  if (values.markdown !== undefined) await Bun.write(values.markdown, `${lines.join("\n")}\n`);
}

const cell = (sample: Sample | undefined): string =>
  sample
    ? `${sample.median.toFixed(1)} (${sample.p10.toFixed(1)} to ${sample.p95.toFixed(1)})`
    : "-";

async function commands(
  contenders: readonly Contender[],
  say: (line: string) => void,
): Promise<void> {
  const names = contenders.map(({ name }) => name);
  say(
    `| command | ${names.join(" | ")} | ${names
      .slice(1)
      .map((name) => `tiffin / ${name}`)
      .join(" | ")} |`,
  );
  say(`|${" --- |".repeat(names.length * 2)}`);
  for (const what of MEASURES) {
    const samples = await measure(what, contenders);
    const mine = samples.get("tiffin")?.median ?? Number.NaN;
    const ratios = names
      .slice(1)
      .map((name) => (mine / (samples.get(name)?.median ?? Number.NaN)).toFixed(2));
    say(
      `| ${what.name} | ${names.map((name) => cell(samples.get(name))).join(" | ")} | ${ratios.join(" | ")} |`,
    );
  }
  say("\n| without an engine | |\n| --- | --- |");
  for (const [name, sample] of await measureBare(20)) say(`| ${name} | ${cell(sample)} |`);
}

async function logs(contenders: readonly Contender[], say: (line: string) => void): Promise<void> {
  say(
    "\n| 500 MB of 64-byte lines | written | read back | --tail 10 | --since |\n| --- | --- | --- | --- | --- |",
  );
  for (const contender of contenders) {
    const figures: LogFigures = await measureLog(contender);
    const cells = [figures.write, figures.read, figures.tail, figures.since].map((took) =>
      took.toFixed(0),
    );
    say(`| ${contender.name} | ${cells.join(" | ")} |`);
  }
}

const IDLE_MS = 6000;

async function own(contender: Contender | undefined, say: (line: string) => void): Promise<void> {
  if (contender?.name !== "tiffin") return;
  const launcher = await measureLauncher(contender, 50);
  const many = await measureMany(contender, Number(values.many));
  await Bun.sleep(IDLE_MS);
  const pid = contender.enginePid();
  say("\n| tiffin's own | |\n| --- | --- |");
  say(`| launcher, first operation to the program | ${cell(launcher)} |`);
  say(
    `| run -d, containers 1 to 10 / the last 10 of ${values.many} | ${many.first.toFixed(1)} / ${many.last.toFixed(1)} |`,
  );
  say(`| PSS of a supervisor | ${many.supervisorKilobytes} kB |`);
  say(
    `| PSS of the engine, idle | ${pid === undefined ? "-" : `${((await pssKilobytes(pid)) / 1024).toFixed(1)} MB`} |`,
  );
}

await main();
