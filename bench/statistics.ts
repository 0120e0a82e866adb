/** Milliseconds of several runs. */
export interface Sample {
  readonly median: number;
  readonly p10: number;
  readonly p95: number;
  readonly runs: number;
}

export function summarize(values: readonly number[]): Sample {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { median: at(0.5), p10: at(0.1), p95: at(0.95), runs: values.length };
}

/** PSS of a process in kB (proc_pid_smaps_rollup(5)). */
export async function pssKilobytes(pid: number): Promise<number> {
  const text = await Bun.file(`/proc/${pid}/smaps_rollup`).text();
  return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
}
