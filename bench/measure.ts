import type { BareProgram } from "./bare-programs.ts";
import type { Engine } from "./engine.ts";
import type { Results, Row } from "./results.ts";

/** What a measure works with. */
export interface Bench {
  readonly engines: readonly Engine[];
  readonly bare: readonly BareProgram[];
  readonly results: Results;
  /** How often, when the command line does not say: as told there otherwise. */
  runs(initial: number): number;
  /** A line of progress. */
  tell(text: string): void;
  /** What a reader of the figures must know. */
  remark(text: string): void;
}

/** Something that is measured by itself: `--only NAME`. */
export interface Measure {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

/** One contender's turn in a row: gives the value of one run. */
export type Turn = () => Promise<number>;

/** Takes turns (A B C A B C ...), so that noise hits all alike. The first round only warms up. */
export async function takeTurns(
  bench: Bench,
  row: Row,
  turns: ReadonlyMap<string, Turn>,
  runs: number,
): Promise<void> {
  bench.tell(`${row.title}: ${[...turns.keys()].join(", ")}, ${runs} runs`);
  for (let run = -1; run < runs; run++) {
    for (const [contender, turn] of turns) {
      const value = await turn().catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        throw new Error(`${contender}: ${reason}`, { cause: error });
      });
      if (run >= 0) bench.results.record(row, contender, value);
    }
  }
}

export function turnsOf(
  engines: readonly Engine[],
  turn: (engine: Engine) => Promise<number>,
): Map<string, Turn> {
  return new Map(engines.map((engine) => [engine.name, () => turn(engine)]));
}
