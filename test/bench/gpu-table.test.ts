/** docs/devices.md has the results of GPUs as `npm run bench:gpu` wrote them. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { GpuResults } from '../../bench/gpu/results-file.ts';
import type { Row, StepResult } from '../../bench/gpu/step.ts';
import { readGpuResults, withGpuTables } from '../../scripts/gpu-table.ts';

const PAGE = readFileSync(new URL('../../docs/devices.md', import.meta.url), 'utf8');
const EMPTY = '<!-- npm run pages: bench/results/gpu-*.json -->x<!-- end -->';

const step = (about: string, rows: readonly Row[], more: Partial<StepResult> = {}): StepResult => ({
  part: 'f',
  about,
  state: 'done',
  date: '2026-01-02T00:00:00Z',
  rows,
  ...more,
});

const RESULTS: GpuResults = {
  format: 1,
  device: 'cuda:0',
  isTiny: false,
  gpu: { name: 'A GPU', driver: '1.2', memoryBytes: 8e9, computeCapability: '9.0' },
  versions: { text2img: '0' },
  machine: {
    processor: 'A processor',
    processorModel: '1',
    threads: 4,
    instructionSets: [],
    memoryGB: 8,
    platform: 'linux x64',
  },
  steps: {
    passes: step('UNet passes', [
      { what: 'load', seconds: 3 },
      { what: 'batch 1', seconds: 0.01, memoryBytes: 2e9 },
      { what: 'batch 2', seconds: 0.02, memoryBytes: 2e9 },
      { what: 'batch 8, CUDA graph', seconds: 0.05, memoryBytes: 3e9 },
    ]),
    'golden-float32': step('in float32', [
      { what: 'plain', largest: 1, psnrDb: 61.25 },
      { what: 'xl', largest: 0 },
    ]),
    'golden-float16': step('in float16', [{ what: 'plain', largest: 3, psnrDb: 50 }]),
    'worker-sd15': step('batches', [{ what: '32 images', steps: 20, imagesPerSecond: 7.09, memoryBytes: 5e9 }]),
    'profile-sd15': step('profile', [
      { what: 'Memcpy nodes', nodes: 0 },
      { what: 'Conv on CUDA', nodes: 98 },
    ]),
    late: step('the last step', [], { state: 'not-run', reason: 'it needs about 60 s' }),
  },
};

test('the page has the tables that the script writes', () => {
  assert.equal(PAGE, withGpuTables(PAGE, readGpuResults()), 'run: npm run pages');
});

test('without a measured GPU the page says so', () => {
  assert.match(withGpuTables(EMPTY, []), /No GPU was measured yet\./);
});

test('passes stand by batch, other results by step, and what was not done has its reason', () => {
  const text = withGpuTables(EMPTY, [RESULTS]);
  assert.match(text, /A GPU, 8\.00 GB, compute capability 9\.0, driver 1\.2; A processor\. 2026-01-02, text2img 0\./);
  assert.match(text, /\| UNet passes \| 10\.0 ms \| 20\.0 ms \|  \| 50\.0 \|/);
  assert.match(text, /\| UNet passes, CUDA graph \|  \|  \| 50\.0 ms \|  \|/);
  assert.match(text, /\| UNet passes \| load, time 3\.00 s \|/);
  assert.match(text, /\| plain \| 1; 61\.3 dB \| 3; 50\.0 dB \|\n\| xl \| 0; equal \|  \|/);
  assert.match(text, /\| batches \| 32 images \| 20 \| 7\.09 \| 5\.00 GB \|/);
  assert.match(text, /\| profile \| Memcpy nodes, nodes 0 \|/);
  assert.doesNotMatch(text, /Conv on CUDA/);
  assert.match(text, /\| the last step \| not-run: it needs about 60 s \|/);
});
