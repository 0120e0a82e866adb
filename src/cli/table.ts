export interface TableLayout {
  /** Narrowest column, with its padding. */
  readonly minimum: number;
  /** Spaces after a cell. */
  readonly padding: number;
}

/** The layout of docker's lists. */
export const LIST_LAYOUT: TableLayout = { minimum: 10, padding: 3 };

/**
 * Lines whose cells end at tabs, in columns (Go's text/tabwriter): a column is as wide as its widest cell in neighbouring
 * lines, and what follows the last tab of a line belongs to no column.
 */
export function layOut(text: string, layout: TableLayout = LIST_LAYOUT): string {
  const lines = text.split("\n").map((line) => line.split("\t"));
  const widths = lines.map((cells) => cells.map(displayWidth));
  const columns = lines.map((): number[] => []);
  fill({ widths, columns, layout }, 0, { from: 0, to: lines.length });
  return lines
    .map((cells, line) =>
      cells.map((cell, index) => cell + padding(cells, { widths, columns, line, index })).join(""),
    )
    .join("\n");
}

interface Grid {
  readonly widths: readonly (readonly number[])[];
  /** Width of each column, line by line. */
  readonly columns: number[][];
  readonly layout: TableLayout;
}

/** Sets the width of one column in every run of lines that have a cell there, then of the next within that run. */
function fill(
  grid: Grid,
  column: number,
  lines: { readonly from: number; readonly to: number },
): void {
  const hasCell = (line: number): boolean => column < (grid.widths[line]?.length ?? 0) - 1;
  for (let line = lines.from; line < lines.to; line += 1) {
    if (!hasCell(line)) continue;
    let end = line;
    let width = grid.layout.minimum;
    for (; end < lines.to && hasCell(end); end += 1) {
      width = Math.max(width, (grid.widths[end]?.[column] ?? 0) + grid.layout.padding);
    }
    for (let inside = line; inside < end; inside += 1) grid.columns[inside]?.push(width);
    fill(grid, column + 1, { from: line, to: end });
    line = end - 1;
  }
}

function padding(
  cells: readonly string[],
  at: {
    readonly widths: readonly (readonly number[])[];
    readonly columns: readonly (readonly number[])[];
    readonly line: number;
    readonly index: number;
  },
): string {
  if (at.index === cells.length - 1) return "";
  const width = at.columns[at.line]?.[at.index] ?? 0;
  return " ".repeat(Math.max(0, width - (at.widths[at.line]?.[at.index] ?? 0)));
}

const ASCII = /^[\x20-\x7e]*$/;
const ZERO_WIDTH = /[\p{Mn}\p{Me}\p{Cf}\p{Cc}]/u;
/** East Asian wide and fullwidth letters, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1f64f}\u{1f900}-\u{1f9ff}\u{20000}-\u{3fffd}]/u;

/** Columns that text takes on a terminal. */
export function displayWidth(text: string): number {
  if (ASCII.test(text)) return text.length;
  let width = 0;
  for (const char of text) {
    if (!ZERO_WIDTH.test(char)) width += WIDE.test(char) ? 2 : 1;
  }
  return width;
}

/** Text cut to a width, with "…" for what is missing. */
export function ellipsis(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let shown = "";
  let used = 0;
  for (const char of text) {
    used += displayWidth(char);
    if (used > width - 1) break;
    shown += char;
  }
  return `${shown}…`;
}
