/** What is special about latent consistency models beside their pixels: their own defaults, fields that they do not read, and mixed batches. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadModel } from '../../../src/engine/child/load-model.ts';
import { proveFit } from '../../../src/pipelines/prove-fit.ts';
import { FAMILIES } from '../../../src/pipelines/registry.ts';
import { copyOfBase, setKeys } from '../../checkpoint/checkpoint-copies.ts';
import { openKnown } from '../../checkpoint/open-known.ts';
import { cpuSettings } from '../../engine/cpu-settings.ts';
import { drawDocuments } from '../draw-jobs.ts';

const SMALL = { text: 'a fox', num_inference_steps: 2, width: 48, height: 40 };

test('four steps and guidance 8.5 are its own defaults', async (t) => {
  await using model = await loadModel(cpuSettings(copyOfBase(t, 'base-lcm'), { threads: 1 }), FAMILIES);
  const { numInferenceSteps, guidanceScale } = model.facts.defaults;
  assert.deepEqual([numInferenceSteps, guidanceScale], [4, 8.5]);
});

for (const field of [
  { negative_prompt: 'dark' },
  { guidance_rescale: 0.5 },
  { guidance_stop: 0.5 },
  { eta: 0.5 },
  { sigmas: [9, 2] },
])
  test(`${Object.keys(field).join()} is refused by name`, async (t) => {
    const { num_inference_steps: _, ...rest } = SMALL;
    await assert.rejects(drawDocuments(copyOfBase(t, 'base-lcm'), [{ ...rest, ...field }]), {
      code: 'invalid_parameter',
      message: new RegExp(`does not read "${Object.keys(field).join()}"`),
    });
  });

test('images with different guidance share passes, bit for bit as alone, and differ', async (t) => {
  const folder = copyOfBase(t, 'base-lcm');
  const documents = [2, 5, 9].map((guidance_scale) => ({ ...SMALL, guidance_scale, seed: 4 }));
  const passes: number[] = [];
  const together = await drawDocuments(folder, documents, {
    maxBatchImages: 3,
    onPass: (images) => void passes.push(images),
  });
  assert.deepEqual(passes, [3, 3]);
  assert.deepEqual(together, await drawDocuments(folder, documents));
  assert.equal(new Set(together.map(({ pixels: [image] }) => Buffer.from(image ?? []).toString('base64'))).size, 3);
});

test('a UNet that reads no guidance is refused, with the pipeline that fits', async (t) => {
  const folder = copyOfBase(t, 'base-lcm');
  setKeys(join(folder, 'unet', 'config.json'), { time_cond_proj_dim: null });
  const checkpoint = await openKnown(folder);
  assert.throws(() => proveFit(checkpoint), {
    code: 'unsupported_config',
    message: /"time_cond_proj_dim" is null, .* a model without this input is one for StableDiffusionPipeline/,
  });
});
