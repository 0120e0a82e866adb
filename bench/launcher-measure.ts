import { bareSequenceObstacle, runBareSequence } from "./bare-sequence.ts";
import { type Engine, perform } from "./engine.ts";
import type { Measure } from "./measure.ts";
import type { Row } from "./results.ts";

/** A step as `POST /tiffin/containers/NAME/start?timings=1` gives it. */
export interface TimedStep {
  readonly side: string;
  readonly reason: string;
  readonly call: string;
  readonly nanoseconds?: number;
  /** Done before the start was asked for. */
  readonly ahead?: boolean;
}

const WARM_UPS = 5;

/** The kernel takes away the groups and namespaces of the run before in its own time, and holds locks meanwhile. */
const SETTLING_MS = 60;

const BARE = "bare sequence";

const READY: Row = { name: "launcher", title: "the launcher's part of a start", unit: "ms" };
const WHOLE: Row = {
  name: "launcher-whole",
  title: "the same with nothing done ahead",
  unit: "ms",
};

/**
 * The launcher's own part of a start, by its own report: from the first operation until the supervisor sees that the program
 * has been executed. The steps of the container's side run meanwhile, and the supervisor's include the waiting for them.
 * The engine begins containers ahead; a second start has nothing of that. In turns with it the same calls bare (bare-sequence.c): what this machine makes of them at this hour.
 */
export const launcherMeasure: Measure = {
  name: "launcher",
  run: async (bench) => {
    const engine = bench.engines.find(({ name }) => name === "tiffin");
    if (engine === undefined) return;
    const runs = bench.runs(50);
    bench.tell(`${READY.title}: ${runs} runs`);
    for (let run = -WARM_UPS; run < runs; run++) {
      if (bareSequenceObstacle === undefined) {
        await Bun.sleep(SETTLING_MS);
        const bare = await runBareSequence();
        if (run >= 0) bench.results.record(WHOLE, BARE, bare);
      }
      await Bun.sleep(SETTLING_MS);
      await perform(engine, "create", "--name", "bench", "--network", "none", "busybox", "true");
      // The first start finds what the engine has begun ahead, the second finds nothing.
      for (const row of [READY, WHOLE]) {
        const steps = await startWithTimings(engine, "bench");
        const isReady = steps.some(({ ahead }) => ahead === true);
        if (isReady !== (row === READY)) throw new Error(`Not measured as it should: ${row.title}`);
        if (run >= 0) bench.results.record(row, "tiffin", nanosecondsToProgram(steps) / 1e6);
        await perform(engine, "wait", "bench");
        await Bun.sleep(SETTLING_MS);
      }
      await perform(engine, "rm", "bench");
    }
  },
};

export async function startWithTimings(engine: Engine, name: string): Promise<TimedStep[]> {
  const unix = engine.environment["TIFFIN_HOST"]?.replace("unix://", "") ?? "";
  const path = `http://engine/tiffin/containers/${name}/start?timings=1`;
  const answer = await fetch(path, { unix, method: "POST" });
  if (!answer.ok) throw new Error(`Cannot start a container with timings: ${await answer.text()}`);
  return ((await answer.json()) as { steps: TimedStep[] }).steps;
}

/** The supervisor waits for the other end of this pipe, which closes when the program is executed. */
const PROGRAM_RUNS = /^poll\(executed\.read,/;

export function nanosecondsToProgram(steps: readonly TimedStep[]): number {
  const supervisor = steps.filter(({ side }) => side === "supervisor");
  const last = supervisor.findIndex(({ call }) => PROGRAM_RUNS.test(call));
  if (last < 0) throw new Error("No step of the supervisor waits for the program");
  return supervisor.slice(0, last + 1).reduce((sum, { nanoseconds = 0 }) => sum + nanoseconds, 0);
}
