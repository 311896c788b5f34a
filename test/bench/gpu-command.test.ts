/** `npm run bench:gpu` runs all its steps on the CPU with tiny networks, survives steps that fail, goes on where it was, and keeps to its time. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GpuResults } from '../../bench/gpu/results-file.ts';
import type { Row } from '../../bench/gpu/step.ts';

const COMMAND = fileURLToPath(new URL('../../bench/gpu.ts', import.meta.url));
const place = mkdtempSync(join(tmpdir(), 'text2img-bench-gpu-test-'));
after(() => rmSync(place, { recursive: true, force: true }));

interface Ran {
  readonly status: number | null;
  readonly text: string;
  readonly results: GpuResults;
}

/** @param name of the file of results; all share their weights */
function run(name: string, ...args: readonly string[]): Ran {
  const output = join(place, `${name}.json`);
  const common = ['--device', 'cpu', '--tiny', '--work', join(place, 'work'), '--output', output, '--golden', 'plain'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...common, ...args], { encoding: 'utf8' });
  return { status, text: stdout + stderr, results: JSON.parse(readFileSync(output, 'utf8')) as GpuResults };
}

const statesOf = ({ steps }: GpuResults): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(steps).map(([id, { state }]) => [id, state]));

suite('all steps', () => {
  const { status, text, results } = run('all');

  test('every step runs on the CPU, except those without PyTorch', () => {
    assert.equal(status, 0, text);
    for (const [id, { state, reason = '' }] of Object.entries(results.steps)) {
      if (id.startsWith('torch-')) assert.match(reason, /no Python with PyTorch was named/);
      else if (id === 'golden-fused') assert.match(reason, /the CPU has no fused operators/);
      else assert.equal(state, 'done', `${id}: ${reason}`);
    }
    assert.equal(Object.keys(results.steps).length, 42, Object.keys(results.steps).join());
  });

  test('a golden case is as near to diffusers as in its own test, and float16 is near', () => {
    const [exact] = results.steps['golden-float32']?.rows ?? [];
    const [half] = results.steps['golden-float16']?.rows ?? [];
    const [deterministic] = results.steps['golden-deterministic']?.rows ?? [];
    assert.ok(Number(deterministic?.['largest']) <= 1, JSON.stringify(deterministic));
    assert.ok(Number(exact?.['largest']) <= 1, JSON.stringify(exact));
    assert.ok(Number(half?.['psnrDb'] ?? Infinity) >= 40, JSON.stringify(half));
  });

  test('the fused form gives what the portable one gives', () => {
    const rowsOf = (id: string): readonly Row[] => results.steps[id]?.rows ?? [];
    assert.equal(rowsOf('layers').length, 26);
    // Two outputs, in two types and two runtimes.
    assert.equal(rowsOf('sample').length, 8);
    for (const row of [...rowsOf('layers'), ...rowsOf('sample')])
      assert.ok(Number(row['psnrDb'] ?? Infinity) >= 50, JSON.stringify(row));
    for (const model of ['sd15', 'sdxl']) {
      const rows = results.steps[`differences-${model}`]?.rows ?? [];
      assert.ok(rows.length >= 7, JSON.stringify(rows));
      for (const row of rows) assert.ok(Number(row['psnrDb'] ?? Infinity) >= 50, JSON.stringify(row));
    }
  });

  test('a pass has its first time, its median and its memory at each batch', () => {
    const rows = results.steps['unet-sdxl-portable']?.rows ?? [];
    assert.deepEqual(
      rows.map(({ what }) => what),
      ['load', 'batch 1', 'batch 2'],
    );
    for (const row of rows.slice(1))
      for (const name of ['firstSeconds', 'seconds', 'samplesPerSecond', 'memoryBytes'])
        assert.ok(Number(row[name]) > 0, `${name} of ${JSON.stringify(row)}`);
  });

  test('the profile counts nodes, and no copy to a device on a CPU', () => {
    const rows = results.steps['profile-sd15-portable']?.rows ?? [];
    assert.equal(rows.find(({ what }) => what === 'Memcpy nodes')?.['nodes'], 0);
    assert.ok(Number(rows.find(({ what }) => what === 'nodes on CPUExecutionProvider')?.['nodes']) > 50);
  });

  test('the worker completes its pictures, and the rate is told', () => {
    const rows = results.steps['worker-sd15']?.rows ?? [];
    assert.deepEqual(
      rows.map(({ what, device, dtype }) => [what, device, dtype]),
      [1, 2].map((start) => [`8 images, start ${start}`, 'cpu', 'float32']),
    );
    for (const row of rows) assert.ok(Number(row['imagesPerSecond']) > 0);
  });
});

test('a step that fails is recorded with its reason, and the next begins', () => {
  const { status, results } = run('failing', '--only', 'golden-float32,weights-sd15', '--golden', 'no-such-case');
  assert.equal(status, 1);
  assert.equal(results.steps['golden-float32']?.state, 'failed');
  assert.match(results.steps['golden-float32'].reason ?? '', /no-such-case/);
  assert.equal(results.steps['weights-sd15']?.state, 'done');
});

test('a second run keeps what is done, tries what failed again, and begins a step that ended the first run last', () => {
  const path = join(place, 'again.json');
  const first = run('again', '--only', 'load,golden-float32', '--golden', 'no-such-case').results;
  const broken = { ...first, steps: { ...first.steps, 'weights-sd15': { ...first.steps['load'], state: 'running' } } };
  writeFileSync(path, JSON.stringify(broken));
  const { status, text, results } = run('again', '--only', 'load,weights-sd15,golden-float32');
  assert.equal(status, 0, text);
  assert.deepEqual(results.steps['load'], first.steps['load']);
  assert.equal(results.steps['golden-float32']?.state, 'done');
  assert.deepEqual(
    Array.from(text.matchAll(/^\(.\) (\S+): begins/gm), ([, id]) => id),
    ['golden-float32', 'weights-sd15'],
  );
});

test('steps that do not fit into the minutes are listed as not run, with the time that they need', () => {
  const { status, text, results } = run('minutes', '--minutes', '0.05');
  assert.equal(status, 0, text);
  assert.ok(Object.keys(results.steps).length > 20);
  for (const [id, { state, reason = '' }] of Object.entries(results.steps)) {
    assert.equal(state, 'not-run', id);
    assert.match(reason, /^it needs about \d+ s, and \d s of --minutes were left$/);
  }
  assert.match(text, /golden-float16: .*: not run: it needs about 60 s/);
});

test('results of other networks are not mixed into a file', () => {
  const path = join(place, 'mixed.json');
  const { results } = run('mixed', '--only', 'load');
  writeFileSync(path, JSON.stringify({ ...results, isTiny: false }));
  const { status, text, results: kept } = run('mixed', '--only', 'weights-sd15');
  assert.equal(status, 2);
  assert.match(text, /has the results of cpu, text2img .*and this is cpu, tiny networks/s);
  assert.deepEqual(statesOf(kept), { load: 'done' });
});

test('wrong options are refused with what is allowed', () => {
  for (const [args, sentence] of [
    [['--device', 'webgpu'], /--device is "webgpu"; allowed are cuda, cuda:N and cpu/],
    [['--minutes', 'ten'], /--minutes is "ten"; it takes a number above 0/],
    [['--only', 'x'], /--only has "x", and no step begins so; there are load, /],
    [['--models', 'sd3'], /--models is "sd3"; allowed are sd15, sdxl/],
    [['--batches', '1.5'], /--batches is "1.5"; it takes whole numbers/],
  ] as const) {
    const { status, stderr } = spawnSync(process.execPath, [COMMAND, ...args], { encoding: 'utf8' });
    assert.equal(status, 2, stderr);
    assert.match(stderr, sentence);
  }
});
