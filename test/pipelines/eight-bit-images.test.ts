/** Images with `--weights int8`: how far they are from those of float32, with each runtime and with the options that touch them. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { loadModel } from '../../src/engine/child/load-model.ts';
import type { EngineSettings } from '../../src/engine/protocol.ts';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { hasBfloat16 } from '../../src/runtime/openvino/bfloat16.ts';
import { cpuSettings } from '../engine/cpu-settings.ts';
import { aRequest } from '../job/a-request.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from '../runtime/openvino/installed-libraries.ts';
import { collectDrawings } from './collect-drawings.ts';
import { drawCase, readCase } from './stable-diffusion/golden-cases.ts';

const demo = fileURLToPath(new URL('../../models/demo', import.meta.url));
const OPENVINO = { runtime: 'openvino', openvinoFolder: LIBRARY_FOLDER } as const;

/**
 * Mean difference of a pixel's numbers from the image in float32, of 255: measured, and in bfloat16 on OpenVINO. Networks of random weights with widths
 * of 8 to 24 make much of each difference.
 */
const MEASURED = {
  'xl-defaults': { int8: 9.6, bfloat16: 6.2 },
  'xl-koala': { int8: 24.6, bfloat16: 23.4 },
  'deep-cache-xl-2': { int8: 10.7, bfloat16: 9.6 },
  plain: { int8: 1.1, bfloat16: 1.1 },
} as const;

for (const [name, { int8 }] of Object.entries(MEASURED))
  test(`${name} with 8-bit weights is near the one in float32: ${readCase(name).about}`, async () => {
    const { images } = await drawCase(name, { settings: { weights: 'int8' } });
    const { images: floats } = await drawCase(name);
    assert.equal(images.length, readCase(name).expected.length);
    for (const [index, { image }] of images.entries()) {
      const difference = meanDifference(image.pixels, floats[index]?.image.pixels ?? assert.fail());
      assert.ok(difference > 0 && difference <= 1.5 * int8, `image ${index} differs by ${difference}`);
    }
  });

interface Drawn {
  readonly pixels: Uint8Array;
  readonly facts: ModelFacts;
}

const REQUEST = aRequest({
  prompt: 'a red circle on a white background',
  negativePrompt: '',
  seed: 3,
  numInferenceSteps: 6,
  guidanceScale: 4,
  widthPx: 64,
  heightPx: 64,
});

async function draw(changes: Partial<EngineSettings>): Promise<Drawn> {
  await using model = await loadModel(cpuSettings(demo, { threads: 2, ...changes }), FAMILIES);
  const jobs = [{ request: REQUEST, images: [], signal: new AbortController().signal }];
  const [drawn] = await collectDrawings(model.pipeline, jobs, { maxBatchImages: 1 });
  return { pixels: Uint8Array.from(drawn?.pixels[0] ?? []), facts: model.facts };
}

function meanDifference(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((sum, value, index) => sum + Math.abs(value - (b[index] as number)), 0) / a.length;
}

function differenceOf(a: Uint8Array, b: Uint8Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((most, value, index) => Math.max(most, Math.abs(value - (b[index] as number))), 0);
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'text2img-eight-bit-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

for (const [options, changes, skip] of [
  ['--deterministic', { deterministic: true }, false],
  ['--runtime auto', { runtime: 'auto', openvinoFolder: LIBRARY_FOLDER }, false],
  ['--device auto', { device: 'auto' }, false],
  ['--runtime openvino', OPENVINO, NO_OPENVINO],
  [
    '--dtype bfloat16',
    { dtype: 'bfloat16', openvinoFolder: LIBRARY_FOLDER },
    NO_OPENVINO !== false ? NO_OPENVINO : hasBfloat16() ? false : 'NOT TESTED: this processor has no bfloat16',
  ],
] as const)
  test(`--weights int8 with ${options} changes the image a little, and the facts name it`, { skip }, async () => {
    const expected = await draw({});
    assert.equal(expected.facts.weights, undefined);
    const { pixels, facts } = await draw({ weights: 'int8', ...changes });
    assert.equal(facts.weights, 'int8');
    assert.equal(facts.device, 'cpu');
    const difference = differenceOf(pixels, expected.pixels);
    // Measured: 1, and 6 in bfloat16.
    assert.ok(difference > 0 && difference <= 12, String(difference));
  });

test('with one network at a time, and out of the compile cache, the image has the same bytes', async (t) => {
  const compileCacheFolder = await makeFolder(t);
  const expected = await draw({ weights: 'int8' });
  for (const changes of [{ lowMemory: 'on' }, { compileCacheFolder }, { lowMemory: 'on', compileCacheFolder }] as const)
    assert.deepEqual((await draw({ weights: 'int8', ...changes })).pixels, expected.pixels);
  assert.deepEqual((await draw({ weights: 'int8', deterministic: true })).pixels, expected.pixels);
  // The demo is too small for an entry.
  assert.deepEqual(
    (await readdir(compileCacheFolder)).filter((name) => /^[0-9a-f]{32}$/.test(name)),
    [],
  );
});
