import type { Results, Unit } from "./results.ts";
import type { Sample } from "./statistics.ts";
import { judge } from "./targets.ts";

/** What the figures depend on. */
export interface Circumstances {
  readonly date: string;
  readonly kernel: string;
  readonly processor: string;
  /** Load average over a minute, before and after. */
  readonly load: readonly [string, string];
  readonly versions: readonly string[];
  /** What was left out and why, and what else a reader must know. */
  readonly remarks: readonly string[];
}

/** The whole report in Markdown. */
export function reportText(results: Results, circumstances: Circumstances): string {
  return [
    circumstancesText(circumstances),
    medians(results),
    spreads(results),
    verdicts(results),
  ].join("\n\n");
}

function circumstancesText(seen: Circumstances): string {
  const [before, after] = seen.load;
  const lines = [
    `${seen.date}, Linux ${seen.kernel}, ${seen.processor}; load average ${before} before, ${after} after.`,
    ...seen.versions.map((version) => `- ${version}`),
    ...(seen.remarks.length === 0 ? [] : [""]),
    ...seen.remarks.map((remark) => `- ${remark}`),
  ];
  return lines.join("\n");
}

/** Medians side by side, and Tiffin's share of the peers'. */
function medians(results: Results): string {
  const contenders = results.contenders;
  const peers = contenders.filter((name) => name === "docker" || name === "podman");
  const head = ["median", ...contenders, ...peers.map((peer) => `tiffin / ${peer}`)];
  const lines = results.rows.map((row) => {
    const mine = results.median(row.name, "tiffin");
    const cells = contenders.map((name) => {
      const median = results.median(row.name, name);
      return median === undefined ? "" : amount(median, row.unit);
    });
    const ratios = peers.map((peer) => {
      const theirs = results.median(row.name, peer);
      return mine === undefined || theirs === undefined ? "" : (mine / theirs).toFixed(3);
    });
    return [row.title, ...cells, ...ratios];
  });
  return table(head, lines);
}

function spreads(results: Results): string {
  const contenders = results.contenders;
  const lines = results.rows.map((row) => [
    row.title,
    ...contenders.map((name) => {
      const sample = results.sample(row.name, name);
      return sample === undefined ? "" : spread(sample, row.unit);
    }),
  ]);
  return table(["p10 to p95 (runs)", ...contenders], lines);
}

function spread({ p10, p95, values }: Sample, unit: Unit): string {
  if (values.length === 1) return "(1)";
  return `${amount(p10, unit)} to ${amount(p95, unit)} (${values.length})`;
}

function verdicts(results: Results): string {
  const lines = judge(results).map(({ text, verdict, figures }) => [text, figures, verdict]);
  return table(["target", "measured", ""], lines);
}

function table(head: readonly string[], lines: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? "---" : "---:"));
  return [head, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** Three digits say all that a measurement does. */
export function amount(value: number, unit: Unit): string {
  if (unit === "kB" && value >= 10_000) return `${(value / 1024).toFixed(1)} MB`;
  if (unit === "ms" && value >= 10_000) return `${(value / 1000).toFixed(1)} s`;
  return `${value.toFixed(value < 100 ? 1 : 0)} ${unit}`;
}

const BEGIN = "<!-- measured: begin -->";
const END = "<!-- measured: end -->";

/** A page with the report between its two marks, or the report alone where there are none. */
export function withReport(page: string, report: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END);
  if (begin < 0 || end < begin) return `${report}\n`;
  return `${page.slice(0, begin + BEGIN.length)}\n\n${report}\n\n${page.slice(end)}`;
}
