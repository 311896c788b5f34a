/** Results as text: a line for each step, and the rows of each as a small table. */
import type { GpuResults } from './results-file.ts';
import type { Row, StepResult, StepState } from './step.ts';

const STATES: Readonly<Record<StepState, string>> = {
  running: 'broken off',
  done: 'done',
  failed: 'FAILED',
  'not-built': 'not built',
  'not-run': 'not run',
};

export function resultsText({ steps, gpu, device }: GpuResults): string {
  const title = gpu === undefined ? device : `${gpu.name}, driver ${gpu.driver}`;
  return [title, ...Object.entries(steps).map(([id, result]) => stepText(id, result))].join('\n\n');
}

export function stepText(id: string, result: StepResult): string {
  return [stateLine(id, result), ...rowLines(result.rows).map((line) => `    ${line}`)].join('\n');
}

export function stateLine(id: string, { part, about, state, reason, seconds }: StepResult): string {
  const took = seconds === undefined ? '' : ` in ${seconds} s`;
  return `(${part}) ${id}: ${about}: ${STATES[state]}${took}${reason === undefined ? '' : `: ${reason}`}`;
}

/** Name of a value → how it is written. */
const UNITS: readonly (readonly [RegExp, (value: number) => string])[] = [
  [/^(?:.*[a-z])?seconds$/i, secondsText],
  [/bytes$/i, (bytes) => `${(bytes / 1e9).toFixed(2)} GB`],
  [/psnrDb$/, (decibels) => `${decibels.toFixed(1)} dB`],
  [/perSecond$/i, (rate) => rate.toPrecision(3)],
];

export function valueText(name: string, value: Row[string]): string {
  if (typeof value !== 'number') return String(value ?? '');
  const unit = UNITS.find(([pattern]) => pattern.test(name));
  if (unit !== undefined) return unit[1](value);
  return Number.isInteger(value) ? String(value) : value.toPrecision(3);
}

function secondsText(seconds: number): string {
  return seconds < 1 ? `${(seconds * 1000).toPrecision(3)} ms` : `${seconds.toPrecision(3)} s`;
}

/** Columns in the order in which their names first come up. */
function columnsOf(rows: readonly Row[]): readonly string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row)))];
}

function rowLines(rows: readonly Row[]): readonly string[] {
  const columns = columnsOf(rows);
  const cells = [
    columns.map((name) => heading(name)),
    ...rows.map((row) => columns.map((name) => valueText(name, row[name]))),
  ];
  const widths = columns.map((_, column) => Math.max(...cells.map((line) => (line[column] ?? '').length)));
  if (rows.length === 0) return [];
  return cells.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `firstSeconds` → `first`, `memoryBytes` → `memory`: the unit stands at each value. */
export function heading(name: string): string {
  if (name === 'what' || name === 'seconds') return name === 'what' ? '' : 'time';
  return name.replace(/(?:Seconds|Bytes|Db)$/, '').replaceAll(/([A-Z])/g, (letter) => ` ${letter.toLowerCase()}`);
}
