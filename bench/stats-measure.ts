import { withContainers } from "./command-measures.ts";
import { time } from "./engine.ts";
import { type Measure, takeTurns, turnsOf } from "./measure.ts";
import type { Row } from "./results.ts";

const CONTAINERS = 50;
/** Tiffin makes the rate from an earlier sample that is at most ten seconds old: here there shall be none. */
const FORGET_MS = 10_500;

/** `stats --no-stream`, as somebody gets it who asks once. */
export const statsMeasure: Measure = {
  name: "stats-50",
  run: (bench) => {
    const title = `\`stats --no-stream\` with ${CONTAINERS} containers`;
    const row: Row = { name: "stats-50", title, unit: "ms" };
    const turns = turnsOf(bench.engines, async (engine) => {
      await Bun.sleep(FORGET_MS);
      return time(engine, "stats", "--no-stream");
    });
    return withContainers(bench, CONTAINERS, () => takeTurns(bench, row, turns, bench.runs(5)));
  },
};
