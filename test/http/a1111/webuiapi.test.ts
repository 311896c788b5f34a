/** webuiapi 0.9.17 of PyPI against the server: what a script for the web UI does works unchanged. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { test } from 'node:test';
import { serve } from '../served.ts';

const python = process.env['TEXT2IMG_TEST_PYTHON'] ?? 'python3';
const SCRIPT = fileURLToPath(new URL('use_webuiapi.py', import.meta.url));
const hasWebuiapi = spawnSync(python, ['-c', 'import webuiapi']).status === 0;
const skip = hasWebuiapi
  ? false
  : `NOT RUN: the Python at ${python} has no webuiapi; set TEXT2IMG_TEST_PYTHON. That its client works with this server was not tested.`;

interface Seen {
  readonly models: readonly string[];
  readonly samplers: readonly string[];
  readonly schedulers: readonly string[];
  readonly current_model: string;
  readonly sizes: readonly (readonly [number, number])[];
  readonly info: {
    readonly all_seeds: readonly number[];
    readonly infotexts: readonly string[];
    readonly sampler_name: string;
  };
  readonly png_info: string;
  readonly pnginfo_text: string;
  readonly progress: { readonly progress: number; readonly state: Readonly<Record<string, unknown>> };
  readonly interrupted: { readonly images: number; readonly infotexts: readonly string[] };
  readonly ready: number;
}

test('construction, models, images, progress, png_info and interrupt of webuiapi work', { skip }, async (t) => {
  const server = await serve(t, {
    keys: ['ann'],
    models: [
      { id: 'instant', aliases: [] },
      { id: 'sd15', aliases: [] },
    ],
  });
  const { hostname, port } = new URL(server.url);
  const { stdout } = await promisify(execFile)(
    python,
    [SCRIPT, hostname, port, server.secretOf('ann'), 'a fox [slow 50]'],
    { maxBuffer: 2 ** 24 },
  );
  const seen = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Seen;
  assert.deepEqual(seen.models, ['instant', 'sd15']);
  assert.ok(seen.samplers.includes('DPM++ 2M') && seen.schedulers.includes('karras'));
  assert.equal(seen.current_model, 'sd15');
  assert.deepEqual(seen.sizes, [
    [64, 64],
    [64, 64],
    [64, 64],
    [64, 64],
  ]);
  assert.deepEqual(seen.info.all_seeds, [5, 6, 7, 8]);
  assert.match(seen.info.infotexts[0] ?? '', /^a fox\nNegative prompt: blurry\nSteps: 2, Sampler: DPM\+\+ 2M/);
  assert.equal(seen.pnginfo_text, seen.info.infotexts[0]);
  assert.equal(seen.png_info, seen.info.infotexts[0]);
  assert.ok(seen.progress.progress >= 0.01 && seen.progress.progress < 1);
  assert.deepEqual(seen.interrupted, { images: 0, infotexts: [] });
  assert.equal(seen.ready, 0);
});
