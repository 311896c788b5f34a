/** The tables of README's section on speed, from the files in bench/results/. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TaskName } from '../bench/compare.ts';
import { type Measurement, RESULTS_FOLDER, type Results } from '../bench/results.ts';
import { median } from '../bench/timing.ts';
import { SHAPES, type ShapeName } from '../bench/unet-shapes.ts';
import { between } from './page-marks.ts';

const MARKS = { begin: '<!-- npm run pages: bench/results -->', end: '<!-- end -->' };

/** Every machine's results, in the order of the files' names. */
export function readResults(folder = RESULTS_FOLDER): Results[] {
  return (
    readdirSync(folder)
      // Those of `bench:http` and `bench:gpu` have other forms.
      .filter((name) => name.endsWith('.json') && name !== 'http.json' && !name.startsWith('gpu-'))
      .toSorted()
      .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as Results)
  );
}

/** @param page with both marks @returns the page with the tables between them */
export function withBenchTables(page: string, results: readonly Results[]): string {
  return between(page, MARKS, benchTables(results));
}

export function benchTables(results: readonly Results[]): string {
  return results.map(machineTables).join('\n\n');
}

function machineTables(results: Results): string {
  const { machine, gemmGflops, measurements } = results;
  const { processor, threads, instructionSets, memoryGB } = machine;
  const gemm = gemmGflops === undefined ? '' : ` Its best matrix product in float32: ${gemmGflops} GFLOP/s.`;
  const about = `${processor}, ${threads} threads, ${memoryGB} GB, ${instructionSets.join(', ')}.${gemm}`;
  const dates = [...new Set(measurements.map(({ date }) => date))].toSorted();
  const isDisturbed = measurements.some((m) => ranBesideOthers(m, threads));
  const mark = isDisturbed
    ? ` ${BESIDE_OTHERS} Other programs ran beside it, or nobody looked; alone it may be faster.`
    : '';
  const versions = `Measured on ${dates.join(', ')} with ${versionsOf(measurements)}. Medians.${mark}`;
  const shapes = (Object.keys(SHAPES) as ShapeName[]).filter((shape) => measurements.some((m) => m.shape === shape));
  return [`${about} ${versions}`, ...shapes.map((shape) => shapeTable(shape, results))].join('\n\n');
}

/** Beside a number in the table. */
const BESIDE_OTHERS = '†';

/** Of the machine's threads, what others may use before a measurement is marked. */
const LARGEST_SHARE = 0.1;

/** Also where nobody looked. */
function ranBesideOthers(measurement: Measurement, threads: number): boolean {
  return !('missing' in measurement) && (measurement.otherCores ?? Infinity) > LARGEST_SHARE * threads;
}

function shapeTable(shape: ShapeName, { machine: { threads }, measurements }: Results): string {
  const ofShape = measurements.filter((m) => m.shape === shape);
  const steps = ofShape.find((m) => m.steps !== undefined && !('missing' in m))?.steps;
  const hasImages = steps !== undefined;
  const names = [...new Set(ofShape.map(nameOf))].toSorted(byProgram);
  const heads = [`${SHAPES[shape].about}, batch 1`, 'one UNet pass'];
  const lines = names.map((name) => {
    const row = ofShape.filter((m) => nameOf(m) === name);
    return [
      name,
      cell(row, 'pass', { threads }),
      ...(hasImages ? [cell(row, 'image', { threads, usualSteps: steps })] : []),
    ];
  });
  if (hasImages) heads.push(`an image, ${steps} steps, guidance`);
  return table(heads, lines);
}

/** text2img first. The sort is stable: the rest keeps the order in which it was measured. */
function byProgram(a: string, b: string): number {
  return Number(b.startsWith('text2img')) - Number(a.startsWith('text2img')) || a.localeCompare(b);
}

function nameOf({ program, variant }: Measurement): string {
  return `${program}, ${variant}`;
}

interface CellOptions {
  /** Of the machine. */
  readonly threads: number;
  /** Of the table's images; other numbers are said. */
  readonly usualSteps?: number;
}

function cell(row: readonly Measurement[], task: TaskName, { threads, usualSteps }: CellOptions): string {
  const found = row.find((m) => m.task === task);
  if (found === undefined) return 'not measured';
  if ('missing' in found) return `missing: ${found.missing}`;
  const seconds = median(found.seconds);
  const mark = ranBesideOthers(found, threads) ? ` ${BESIDE_OTHERS}` : '';
  const text = `${seconds < 10 ? seconds.toFixed(2) : seconds.toFixed(0)} s${mark}`;
  return found.steps === usualSteps || usualSteps === undefined ? text : `${text} (${found.steps} steps)`;
}

function table(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [row(heads), `|${heads.map(() => '---').join('|')}|`, ...lines.map(row)].join('\n');
}

/** Name → version of all that was measured. Two versions of one name stand beside each other. */
function versionsOf(measurements: readonly Measurement[]): string {
  const found = new Map<string, Set<string>>();
  for (const { versions = {} } of measurements)
    for (const [name, version] of Object.entries(versions))
      found.set(name, (found.get(name) ?? new Set()).add(version));
  return [...found].map(([name, versions]) => `${name} ${[...versions].join(' and ')}`).join(', ');
}
