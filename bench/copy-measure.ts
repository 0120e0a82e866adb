import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withContainers } from "./command-measures.ts";
import { type Engine, output, perform, time } from "./engine.ts";
import { type Bench, type Measure, takeTurns, turnsOf } from "./measure.ts";
import type { Row } from "./results.ts";
import { scratch } from "./scratch.ts";

const DIRECTORIES = 100;
const FILES_EACH = 100;

const IN: Row = { name: "cp-in", title: "`cp` of 10,000 files into a container", unit: "ms" };
const OUT: Row = { name: "cp-out", title: "`cp` of 10,000 files out of it", unit: "ms" };
const DIFF: Row = { name: "diff", title: "`diff` with 10,000 changed files", unit: "ms" };

/** Ten thousand small files on the host; made once. */
function manyFiles(): string {
  const top = join(scratch(), "many-files");
  if (existsSync(top)) return top;
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    const path = join(top, String(directory));
    mkdirSync(path, { recursive: true });
    for (let file = 0; file < FILES_EACH; file++) {
      writeFileSync(join(path, String(file)), `file ${file} in ${directory}\n`);
    }
  }
  return top;
}

/** Copies to a place of its own each time: onto files that are there it would be another thing. */
export const copyMeasure: Measure = {
  name: "cp",
  run: (bench: Bench) =>
    withContainers(bench, 1, async () => {
      const source = manyFiles();
      // A file system has its cost for what it deletes as well: not within the time.
      const target = join(scratch(), "copied");
      let place = 0;
      const copyIn = (engine: Engine): Promise<number> => {
        place += 1;
        return time(engine, "cp", source, `bench-1:/tmp/many-${place}`);
      };
      await takeTurns(bench, IN, turnsOf(bench.engines, copyIn), bench.runs(5));
      for (const engine of bench.engines) {
        await perform(engine, "cp", source, "bench-1:/tmp/out");
      }
      // Nor is it for making files right after as many were deleted: ext4 looks at each of those again for some seconds.
      mkdirSync(target, { recursive: true });
      const copyOut = (engine: Engine): Promise<number> => {
        place += 1;
        return time(engine, "cp", "bench-1:/tmp/out", join(target, String(place)));
      };
      await takeTurns(bench, OUT, turnsOf(bench.engines, copyOut), bench.runs(5));
      rmSync(target, { recursive: true, force: true });
      await measureDiff(bench, source);
    }),
};

/** In a container with these changes alone. */
async function measureDiff(bench: Bench, source: string): Promise<void> {
  for (const engine of bench.engines) {
    await output(engine, "create", "--name", "bench-diff", "busybox", "true");
    await perform(engine, "cp", source, "bench-diff:/tmp/many");
  }
  const diff = (engine: Engine): Promise<number> => time(engine, "diff", "bench-diff");
  await takeTurns(bench, DIFF, turnsOf(bench.engines, diff), bench.runs(10));
  for (const engine of bench.engines) await perform(engine, ...engine.removal, "bench-diff");
}
