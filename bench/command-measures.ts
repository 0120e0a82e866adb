import { timeCommand } from "./command.ts";
import {
  backgroundArguments,
  type Engine,
  perform,
  remove,
  runArguments,
  time,
  timeRemoval,
} from "./engine.ts";
import { type Bench, type Measure, takeTurns, type Turn, turnsOf } from "./measure.ts";
import type { Row } from "./results.ts";

/** The time that a shell gets to set its trap after `run -d` has come back. */
const SETTLE_MS = 100;

/** The client's own start; no engine is asked. */
const clientStart: Measure = {
  name: "client-start",
  run: (bench) => {
    const row: Row = { name: "client-start", title: "`--version`", unit: "ms" };
    const turns = turnsOf(bench.engines, (engine) => time(engine, "--version"));
    return takeTurns(bench, row, turns, bench.runs(20));
  },
};

const run: Measure = {
  name: "run",
  run: async (bench) => {
    const row: Row = { name: "run", title: "`run --rm --network none IMAGE true`", unit: "ms" };
    const turns = turnsOf(bench.engines, (engine) =>
      time(engine, ...runArguments(engine, "--rm", "busybox", "true")),
    );
    for (const program of bench.bare) {
      const command = await program.prepare();
      turns.set(program.name, () => timeCommand(command));
    }
    await takeTurns(bench, row, turns, bench.runs(30));
  },
};

const runInBackground: Measure = {
  name: "run-d",
  run: (bench) => {
    const row: Row = { name: "run-d", title: "`run -d --network none`", unit: "ms" };
    const turns = turnsOf(bench.engines, async (engine) => {
      const took = await time(engine, ...backgroundArguments(engine, "bench"));
      await remove(engine, "bench");
      return took;
    });
    return takeTurns(bench, row, turns, bench.runs(10));
  },
};

const exec: Measure = {
  name: "exec",
  run: (bench) => {
    const row: Row = { name: "exec", title: "`exec CONTAINER true`", unit: "ms" };
    const turn = (engine: Engine): Promise<number> => time(engine, "exec", "bench-1", "true");
    return withContainers(bench, 1, () =>
      takeTurns(bench, row, turnsOf(bench.engines, turn), bench.runs(20)),
    );
  },
};

const stop: Measure = {
  name: "stop",
  run: (bench) => {
    const row: Row = { name: "stop", title: "`stop`, ends at SIGTERM", unit: "ms" };
    const turns = afterStart(bench, async (engine) => {
      const took = await time(engine, "stop", "bench");
      await remove(engine, "bench");
      return took;
    });
    return takeTurns(bench, row, turns, bench.runs(10));
  },
};

const removal: Measure = {
  name: "rm",
  run: (bench) => {
    const row: Row = { name: "rm", title: "`rm -f` of a running container", unit: "ms" };
    const turns = afterStart(bench, (engine) => timeRemoval(engine, "bench"));
    return takeTurns(bench, row, turns, bench.runs(10));
  },
};

function afterStart(bench: Bench, turn: (engine: Engine) => Promise<number>): Map<string, Turn> {
  return turnsOf(bench.engines, async (engine) => {
    await perform(engine, ...backgroundArguments(engine, "bench"));
    await Bun.sleep(SETTLE_MS);
    return turn(engine);
  });
}

function list(count: number): Measure {
  return {
    name: `ps-${count}`,
    run: (bench) => {
      const title = `\`ps\` with ${count} container${count === 1 ? "" : "s"}`;
      const row: Row = { name: `ps-${count}`, title, unit: "ms" };
      const turns = turnsOf(bench.engines, (engine) => time(engine, "ps"));
      return withContainers(bench, count, () => takeTurns(bench, row, turns, bench.runs(20)));
    },
  };
}

/** Does something while each engine runs containers `bench-1` and so on. */
export async function withContainers(
  bench: Bench,
  count: number,
  act: () => Promise<void>,
): Promise<void> {
  const names = Array.from({ length: count }, (_, index) => `bench-${index + 1}`);
  for (const engine of bench.engines) {
    for (const name of names) await perform(engine, ...backgroundArguments(engine, name));
  }
  await Bun.sleep(SETTLE_MS);
  await act();
  for (const engine of bench.engines) await remove(engine, ...names);
}

export const commandMeasures: readonly Measure[] = [
  clientStart,
  run,
  runInBackground,
  exec,
  stop,
  removal,
  list(1),
  list(50),
];
