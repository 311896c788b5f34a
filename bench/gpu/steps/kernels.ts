/** (c) Where the time of a pass goes on the GPU itself: its kernels by the time that they took, as NVIDIA's profiler `ncu` measures them. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Report, type Row, StepEnds, type TaskOf } from '../step.ts';

const PROGRAM = fileURLToPath(new URL('../profiled-pass.ts', import.meta.url));
const LONGEST = 20;
/** Of a kernel's name, in characters: the rest are parameters of templates. */
const SHOWN = 100;
const MOST_OUTPUT = 256e6;

export function kernelsStep(task: TaskOf<'kernels'>, report: Report): void {
  const { model, form, batch, workFolder, device } = task;
  const program = [process.execPath, PROGRAM, JSON.stringify(task)] as const;
  // Without a GPU the program itself is tried.
  const [command, ...args] = device === 'cpu' ? program : ['ncu', ...PROFILER, ...program];
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: MOST_OUTPUT });
  if (error !== undefined && 'code' in error && error.code === 'ENOENT')
    throw new StepEnds('not-run', 'NVIDIA’s profiler ncu is not installed');
  if (status !== 0)
    throw new Error(
      `${command} ended with ${String(status ?? error?.message)}: ${(stderr + stdout).trim().slice(-300)}`,
    );
  if (device === 'cpu') return;
  writeFileSync(join(workFolder, `kernels-${model}-${form}-${batch}.csv`), stdout);
  for (const row of kernelRows(stdout)) report(row);
}

/** The clocks stay as they are in production. */
const PROFILER =
  '--csv --print-units base --metrics gpu__time_duration.sum --clock-control none --profile-from-start off --target-processes all'.split(
    ' ',
  );

/** @param text what `ncu --csv` printed, with one metric in nanoseconds @returns the sum, and the kernels with the longest times */
export function kernelRows(text: string): readonly Row[] {
  const [head = [], ...lines] = text
    .split('\n')
    .filter((line) => line.startsWith('"'))
    .map((line) => line.slice(1, -1).split('","'));
  const [nameAt, valueAt] = [head.indexOf('Kernel Name'), head.indexOf('Metric Value')];
  if (nameAt < 0 || valueAt < 0) throw new Error('ncu printed no table of kernels');
  const runs = lines.map((cells) => ({
    name: cells[nameAt] ?? '?',
    seconds: Number((cells[valueAt] ?? '').replaceAll(',', '')) / 1e9,
  }));
  const sum = (of: readonly { readonly seconds: number }[]): number =>
    of.reduce((all, { seconds }) => all + seconds, 0);
  const rows = [...Map.groupBy(runs, ({ name }) => name)]
    .map(([name, of]) => ({ what: name.slice(0, SHOWN), runs: of.length, seconds: sum(of) }))
    .toSorted((a, b) => b.seconds - a.seconds);
  return [{ what: 'all kernels', runs: runs.length, seconds: sum(runs) }, ...rows.slice(0, LONGEST)];
}
