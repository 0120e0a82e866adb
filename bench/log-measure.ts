import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type Engine, output, perform, remove, runArguments, time } from "./engine.ts";
import { outputOf } from "./command.ts";
import type { Bench, Measure } from "./measure.ts";
import type { Row } from "./results.ts";
import { scratch } from "./scratch.ts";

const WRITE: Row = { name: "log-write", title: "500 MB of 64-byte lines, written", unit: "ms" };
const READ: Row = { name: "log-read", title: "the same read back by `logs`", unit: "ms" };
const TAIL: Row = { name: "log-tail", title: "`logs --tail 10` of them", unit: "ms" };
const SINCE: Row = { name: "log-since", title: "`logs --since` its last lines", unit: "ms" };

const BYTES = 500_000_000;
const LINE_BYTES = 64;
const TAIL_LINES = 10;
/** How often the two quick questions are asked: a peer may need a minute for one. */
const QUESTIONS = { tiffin: 10, other: 2 } as const;

/**
 * Lines from a file through the log and back, rotation off. `cat` sends the file, which is in memory, to the log's pipe with
 * sendfile: what is measured is the log and not the writer. Each answer is counted, so that none is fast by leaving out.
 */
export const logMeasure: Measure = {
  name: "logs",
  run: async (bench) => {
    const directory = await linesDirectory();
    const runs = bench.runs(1);
    for (let run = 0; run < runs; run++) {
      for (const engine of bench.engines) {
        bench.tell(`500 MB of 64-byte lines: ${engine.name}, run ${run + 1} of ${runs}`);
        await writeLines(bench, engine, directory);
        await readLines(bench, engine);
        await remove(engine, "lines");
      }
    }
  },
};

/** A directory with the lines in a file, each with its number so that the last ones can be told from others. */
async function linesDirectory(): Promise<string> {
  const directory = join(scratch(), "lines");
  mkdirSync(directory);
  const filler = "x".repeat(LINE_BYTES - 11);
  const writer = Bun.file(join(directory, "lines")).writer();
  const count = Math.ceil(BYTES / LINE_BYTES);
  for (let line = 0; line < count; line++) {
    await writer.write(`${String(line).padStart(9, "0")} ${filler}\n`);
  }
  await writer.end();
  return directory;
}

async function writeLines(bench: Bench, engine: Engine, directory: string): Promise<void> {
  // What the one before has left for the disk is not to slow this one.
  await outputOf(["sync"]);
  const mount = ["-v", `${directory}:/lines:ro`];
  const options = ["-d", "--name", "lines", ...engine.wholeLog, ...mount];
  const start = performance.now();
  await perform(engine, ...runArguments(engine, ...options, "busybox", "cat", "/lines/lines"));
  await perform(engine, "wait", "lines");
  bench.results.record(WRITE, engine.name, performance.now() - start);
  const path = await output(engine, "inspect", "--format", engine.logPath, "lines");
  const { size } = statSync(path);
  if (size < BYTES) throw new Error(`${engine.name}: the log has only ${size} bytes`);
}

async function readLines(bench: Bench, engine: Engine): Promise<void> {
  const start = performance.now();
  const bytes = await countedLogs(engine, "-c", []);
  bench.results.record(READ, engine.name, performance.now() - start);
  expect(engine, "bytes", bytes, Math.ceil(BYTES / LINE_BYTES) * LINE_BYTES);
  const tail = ["--tail", String(TAIL_LINES)];
  expect(engine, "lines of the end", await countedLogs(engine, "-l", tail), TAIL_LINES);
  const last = await output(engine, "logs", "--timestamps", ...tail, "lines");
  const since = ["--since", justBefore(last.slice(0, last.indexOf(" ")))];
  const questions = engine.name === "tiffin" ? QUESTIONS.tiffin : QUESTIONS.other;
  for (let question = 0; question < questions; question++) {
    bench.results.record(TAIL, engine.name, await time(engine, "logs", ...tail, "lines"));
    bench.results.record(SINCE, engine.name, await time(engine, "logs", ...since, "lines"));
  }
  const found = await countedLogs(engine, "-l", since);
  if (found < TAIL_LINES) throw new Error(`${engine.name}: logs --since gave ${found} lines`);
}

/** A little earlier: many lines have one stamp where they came in one read, and podman leaves out those of the very time. */
function justBefore(stamp: string): string {
  return new Date(Date.parse(stamp) - 1).toISOString();
}

/** What wc(1) counts in the log: a reader at the other end of a pipe, as there is in use. */
async function countedLogs(
  engine: Engine,
  what: "-c" | "-l",
  options: readonly string[],
): Promise<number> {
  const script = 'what=$1; shift; "$@" | wc "$what"';
  const command = [...engine.client, "logs", ...options, "lines"];
  const environment = engine.environment;
  return Number(await outputOf(["sh", "-c", script, "sh", what, ...command], { environment }));
}

function expect(engine: Engine, what: string, actual: number, wanted: number): void {
  if (actual !== wanted) {
    throw new Error(`${engine.name}: logs gave ${actual} ${what} instead of ${wanted}`);
  }
}
