/** Aligned columns of text. Cells must be escaped already. */
import { cut } from './foreign-text.ts';

export interface Column {
  readonly heading: string;
  readonly cells: readonly string[];
  /** Cut to this if the line does not fit; absent: never cut. */
  readonly leastWidth?: number;
}

export interface TableOptions {
  /** The width of the terminal; undefined: nothing is cut. */
  readonly width: number | undefined;
  readonly hasHeadings: boolean;
}

const GAP = 2;

/** The lines of a table. Later columns are cut first; a column without any text is left out. */
export function textTable(columns: readonly Column[], { width, hasHeadings }: TableOptions): readonly string[] {
  const shown = columns.filter(({ cells }) => cells.some((cell) => cell !== ''));
  const widths = shown.map(({ heading, cells }) =>
    cells.reduce((widest, cell) => Math.max(widest, cell.length), heading.length),
  );
  if (width !== undefined) shrink(widths, shown, width);
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => cut(text, widths[index] ?? 0).padEnd(widths[index] ?? 0))
      .join(' '.repeat(GAP))
      .trimEnd();
  const rows = Array.from({ length: columns[0]?.cells.length ?? 0 }, (_, row) =>
    line(shown.map(({ cells }) => cells[row] ?? '')),
  );
  return hasHeadings ? [line(shown.map(({ heading }) => heading)), ...rows] : rows;
}

function shrink(widths: number[], columns: readonly Column[], width: number): void {
  let excess = widths.reduce((sum, one) => sum + one, 0) + GAP * (widths.length - 1) - width;
  for (let index = widths.length - 1; index >= 0 && excess > 0; index--) {
    const now = widths[index] ?? 0;
    const least = Math.min(now, columns[index]?.leastWidth ?? now);
    const removed = Math.min(excess, now - least);
    widths[index] = now - removed;
    excess -= removed;
  }
}
