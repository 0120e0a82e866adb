/** What several runs of one thing have in common. In the unit of its values. */
export interface Sample {
  readonly median: number;
  readonly p10: number;
  readonly p95: number;
  readonly values: readonly number[];
}

/** @throws when there are no values: nothing was measured then */
export function summarize(values: readonly number[]): Sample {
  if (values.length === 0) throw new Error("Nothing was measured");
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: quantile(sorted, 0.5),
    p10: quantile(sorted, 0.1),
    p95: quantile(sorted, 0.95),
    values,
  };
}

/** Between two neighbours a quantile lies on the line between them. */
function quantile(sorted: readonly number[], share: number): number {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] ?? Number.NaN;
  const above = sorted[Math.ceil(place)] ?? Number.NaN;
  return below + (above - below) * (place - Math.floor(place));
}
