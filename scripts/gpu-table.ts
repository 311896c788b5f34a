/** The results of GPUs in docs/devices.md, from the files `gpu-*.json` in bench/results/. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type GpuResults, readResultsFile } from '../bench/gpu/results-file.ts';
import type { Row, StepResult } from '../bench/gpu/step.ts';
import { heading, valueText } from '../bench/gpu/table.ts';
import { RESULTS_FOLDER } from '../bench/results.ts';
import { between } from './page-marks.ts';

const MARKS = { begin: '<!-- npm run pages: bench/results/gpu-*.json -->', end: '<!-- end -->' };
const NONE = 'No GPU was measured yet.';
/** `batch 8`, or `batch 8, CUDA graph`. */
const PASS = /^batch (\d+)(, .*)?$/;

/** Measurements of GPUs with networks of full size, in the order of the files' names. */
export function readGpuResults(folder = RESULTS_FOLDER): readonly GpuResults[] {
  return readdirSync(folder)
    .filter((name) => /^gpu-.*\.json$/.test(name))
    .toSorted()
    .map((name) => readResultsFile(join(folder, name)))
    .filter(({ gpu, isTiny }) => gpu !== undefined && !isTiny);
}

/** @param page with both marks @returns the page with the tables between them */
export function withGpuTables(page: string, results: readonly GpuResults[]): string {
  return between(page, MARKS, results.length === 0 ? NONE : results.map(gpuTables).join('\n\n'));
}

function gpuTables({ gpu, steps, versions, machine }: GpuResults): string {
  const dates = [...new Set(Object.values(steps).map(({ date }) => date.slice(0, 10)))].toSorted();
  const named = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  const about = `${gpu?.name}, ${valueText('memoryBytes', gpu?.memoryBytes)}, compute capability ${gpu?.computeCapability}, driver ${gpu?.driver}; ${machine.processor}. ${dates.join(', ')}, ${named.join(', ')}.`;
  const tables = [passTable(Object.values(steps)), imageTable(steps), goldenTable(steps), stepTable(steps)];
  return [about, ...tables.filter((text) => text !== undefined)].join('\n\n');
}

/** One image with guidance. */
const ONE_IMAGE = 2;

/** Time of a pass by batch: a row for each form, runtime and program. */
function passTable(steps: readonly StepResult[]): string | undefined {
  const lines = new Map<string, Map<number, Row>>();
  for (const { about, rows } of steps)
    for (const row of rows) {
      const [, batch, variant = ''] = PASS.exec(row.what) ?? [];
      if (batch === undefined) continue;
      const name = `${about}${variant}`;
      lines.set(name, (lines.get(name) ?? new Map<number, Row>()).set(Number(batch), row));
    }
  if (lines.size === 0) return undefined;
  const batches = [...new Set([...lines.values()].flatMap((found) => [...found.keys()]))].toSorted((a, b) => a - b);
  const time = (row: Row | undefined): string => (row === undefined ? '' : valueText('seconds', row['seconds']));
  const rate = (row: Row | undefined): string => (row === undefined ? '' : (1 / Number(row['seconds'])).toFixed(1));
  return table(
    ['a pass, median', ...batches.map((batch) => `batch ${batch}`), 'steps a second of one image with guidance'],
    [...lines].map(([name, found]) => [
      name,
      ...batches.map((batch) => time(found.get(batch))),
      rate(found.get(ONE_IMAGE)),
    ]),
  );
}

/** Whole images through the worker. */
function imageTable(steps: GpuResults['steps']): string | undefined {
  const found = rowsOf(steps, /^(?:worker|single)-/);
  if (found.length === 0) return undefined;
  const columns = [...new Set(found.flatMap(([, row]) => Object.keys(row)))].filter((name) => name !== 'device');
  return table(
    ['images through the worker', ...columns.map((name) => (name === 'what' ? 'images' : heading(name)))],
    found.map(([about, row]) => [about, ...columns.map((name) => valueText(name, row[name]))]),
  );
}

/** Each golden case beside diffusers on a CPU, by how it was generated. */
function goldenTable(steps: GpuResults['steps']): string | undefined {
  const found = rowsOf(steps, /^golden-/);
  if (found.length === 0) return undefined;
  const ways = [...new Set(found.map(([about]) => about))];
  const cell = (row: Row | undefined): string => {
    if (row === undefined) return '';
    const decibels = row['psnrDb'] === undefined ? 'equal' : valueText('psnrDb', row['psnrDb']);
    return `${valueText('largest', row['largest'])}; ${decibels}`;
  };
  return table(
    ['golden case: largest difference of 255; PSNR', ...ways],
    [...new Set(found.map(([, { what }]) => what))].map((what) => [
      what,
      ...ways.map((way) => cell(found.find(([about, row]) => about === way && row.what === what)?.[1])),
    ]),
  );
}

function rowsOf(steps: GpuResults['steps'], ids: RegExp): readonly (readonly [about: string, Row])[] {
  return Object.entries(steps)
    .filter(([id]) => ids.test(id))
    .flatMap(([, { about, rows }]) => rows.map((row) => [about, row] as const));
}

/** They have tables of their own. */
const ELSEWHERE = /^(?:golden|worker|single)-/;
/** Their first row is the result. The others say more about it, and stay in the file. */
const WITH_DETAILS = /^(?:profile|kernels)-/;

/** What the steps found beside passes, and what they did not. */
function stepTable(steps: GpuResults['steps']): string {
  const lines = Object.entries(steps).flatMap(([id, { about, state, reason, rows }]) => {
    const others = rows.filter(({ what }) => !PASS.test(what)).map((row) => [about, rowText(row)]);
    const shown = ELSEWHERE.test(id) ? [] : WITH_DETAILS.test(id) ? others.slice(0, 1) : others;
    return state === 'done' ? shown : [...shown, [about, `${state}: ${reason ?? ''}`]];
  });
  return table(['step', 'result'], lines);
}

function rowText({ what, ...values }: Row): string {
  const texts = Object.entries(values).map(([name, value]) => `${heading(name)} ${valueText(name, value)}`);
  return [what, ...texts].join(', ');
}

function table(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [row(heads), `|${heads.map(() => '---').join('|')}|`, ...lines.map(row)].join('\n');
}
