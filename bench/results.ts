import { type Sample, summarize } from "./statistics.ts";

export type Unit = "ms" | "µs" | "kB" | "s" | "%" | "Gbit/s";

/** One line of the table: one thing, measured for each contender that has it. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: Unit;
}

/** All values of a run, by row and contender, in the order in which they came. */
export class Results {
  readonly #values = new Map<string, { row: Row; byContender: Map<string, number[]> }>();

  record(row: Row, contender: string, value: number): void {
    const known = this.#values.get(row.name) ?? { row, byContender: new Map<string, number[]>() };
    this.#values.set(row.name, known);
    known.byContender.set(contender, [...(known.byContender.get(contender) ?? []), value]);
  }

  get rows(): Row[] {
    return [...this.#values.values()].map(({ row }) => row);
  }

  get contenders(): string[] {
    const names = [...this.#values.values()].flatMap(({ byContender }) => [...byContender.keys()]);
    return [...new Set(names)];
  }

  /** Undefined: not measured. */
  sample(row: string, contender: string): Sample | undefined {
    const values = this.#values.get(row)?.byContender.get(contender);
    return values && summarize(values);
  }

  median(row: string, contender: string): number | undefined {
    return this.sample(row, contender)?.median;
  }
}
