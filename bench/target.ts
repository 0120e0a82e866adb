import type { Results } from "./results.ts";

/** What the measurements are held against. */
export interface Target {
  readonly text: string;
  /** The measured figure, or undefined when it cannot be formed from what was measured. */
  readonly figure: (results: Results) => Figure | undefined;
}

export interface Figure {
  readonly value: number;
  readonly limit: number;
  /** How both are written. */
  readonly digits: number;
  readonly unit: string;
}

export function ratio(row: string, to: string, limit: number): Target["figure"] {
  return (results) => {
    const mine = results.median(row, "tiffin");
    const other = results.median(row, to);
    if (mine === undefined || other === undefined) return undefined;
    return { value: mine / other, limit, digits: 3, unit: "" };
  };
}

export function atMost(row: string, limit: number, unit: string): Target["figure"] {
  return (results) => {
    const value = results.median(row, "tiffin");
    return value === undefined ? undefined : { value, limit, digits: 1, unit };
  };
}
