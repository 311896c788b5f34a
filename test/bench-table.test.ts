/** README's tables of speed are made from the files that `npm run bench` writes. */
import { equal, match, ok, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Measurement, Results } from '../bench/results.ts';
import { benchTables, readResults, withBenchTables } from '../scripts/bench-table.ts';

const README = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const MACHINE = {
  processor: 'A processor',
  processorModel: '1-2',
  threads: 4,
  instructionSets: ['avx2'],
  memoryGB: 8,
  platform: 'linux x64',
};

const PASS: Measurement = {
  program: 'text2img',
  variant: 'ONNX Runtime, float32',
  task: 'pass',
  shape: 'sd15',
  date: '2026-01-02',
  otherCores: 0,
  seconds: [3, 1, 2],
  loadSeconds: 1,
};

const LOST = {
  program: 'rival',
  variant: 'x',
  task: 'pass',
  shape: 'sd15',
  date: '2026-01-02',
  otherCores: 0,
} as const;

const measured = (stated: Partial<Measurement>): Measurement => ({ ...PASS, ...stated });

const tablesOf = (...measurements: readonly Measurement[]): string =>
  benchTables([{ machine: MACHINE, gemmGflops: 100, measurements } satisfies Results]);

test('README has the tables that the script writes from bench/results', () => {
  ok(readResults().length > 0, 'there are results of a machine');
  equal(README, withBenchTables(README, readResults()), 'run: npm run pages');
});

test('a row has the median of the passes and of the images, and says where the number of steps is another', () => {
  const rival = { program: 'diffusers', variant: 'float32' } as const;
  const text = tablesOf(
    measured({}),
    measured({ task: 'image', steps: 20, seconds: [120] }),
    measured({ ...rival, seconds: [4] }),
    measured({ ...rival, task: 'image', steps: 5, seconds: [60] }),
  );
  match(text, /\| text2img, ONNX Runtime, float32 \| 2\.00 s \| 120 s \|/);
  match(text, /\| diffusers, float32 \| 4\.00 s \| 60 s \(5 steps\) \|/);
});

test('what could not be measured stands in the table with its reason, and what was not tried says so', () => {
  const text = tablesOf(measured({ task: 'image', steps: 20, seconds: [120] }), {
    ...LOST,
    missing: 'the Python package x is not installed',
  });
  match(text, /\| rival, x \| missing: the Python package x is not installed \| not measured \|/);
});

test('what was measured while other programs used more than a tenth of the threads is marked, and the mark is explained', () => {
  const quiet = tablesOf(measured({ otherCores: 0.1 * MACHINE.threads }));
  ok(!quiet.includes('†'));
  const busy = tablesOf(measured({ otherCores: 0.1 * MACHINE.threads + 0.01 }), measured({ variant: 'other' }));
  match(busy, /† Other programs ran beside it, or nobody looked/);
  match(busy, /\| text2img, ONNX Runtime, float32 \| 2\.00 s † \|/);
  match(busy, /\| text2img, other \| 2\.00 s \|/);
  const { otherCores: _, ...unseen } = PASS;
  match(tablesOf(unseen), /2\.00 s †/);
});

test('the machine, its versions and the dates stand above its tables', () => {
  const text = tablesOf(
    measured({ versions: { torch: '2' } }),
    measured({ variant: 'other', date: '2026-01-03', versions: { torch: '3' } }),
  );
  match(text, /A processor, 4 threads, 8 GB, avx2\..*100 GFLOP\/s/);
  match(text, /2026-01-02, 2026-01-03 with torch 2 and 3/);
});

test('a page without the marks is refused', () => {
  throws(() => withBenchTables('# Speed\n', []), /the page has no/);
});
