/**
 * What the passes of a batch share is brought to the device once, stays there, and is freed when the passes end. Through the C API the tensors lie in
 * ONNX Runtime's memory, so that a pass with one that was freed fails.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { DeviceMemory } from '../../src/runtime/onnxruntime-c/device-memory.ts';
import { copyOfBase, copyWithLarge, setKeys, UNET } from '../checkpoint/checkpoint-copies.ts';
import { aRequest } from '../job/a-request.ts';
import { NO_C_API } from '../runtime/onnxruntime-c/no-c-api.ts';
import { type DeviceTensors, deviceTensors } from './device-tensors.ts';
import { drawCase } from './stable-diffusion/golden-cases.ts';
import { watchedModel } from './watched-model.ts';

const SMALL = { numInferenceSteps: 4, widthPx: 48, heightPx: 40, scheduler: 'EulerDiscreteScheduler', numImages: 1 };
const guided = (stated: Partial<ResolvedGenerationRequest> = {}): ResolvedGenerationRequest =>
  aRequest({ prompt: 'a red house', negativePrompt: 'blurry', guidanceScale: 6, ...SMALL, ...stated });

/** How many rows each tensor has. */
const batchOf = (tensors: DeviceTensors): readonly (number | undefined)[] =>
  tensors.shapes('uploaded').map(([rows]) => rows);

suite('images are the same bytes with tensors of the device', { skip: NO_C_API }, () => {
  const CASES = [
    'plain',
    'four-images',
    'guidance-stop-two-images',
    'guidance-stop-heun',
    'lcm-defaults',
    'xl-defaults',
    'xl-guidance-stop',
    'deep-cache-branch-8',
    'deep-cache-heun-3',
    'deep-cache-xl-2',
    'deep-cache-xl-5-branch-4',
  ];
  for (const name of CASES)
    test(name, async () => {
      const { images: expected } = await drawCase(name);
      for (const captured of [false, true]) {
        const tensors = deviceTensors({ captured });
        const { images } = await drawCase(name, { runtime: tensors.runtime });
        assert.deepEqual(images, expected);
        assert.ok(tensors.shapes('uploaded').length > 0);
        tensors.assertAllFreed();
      }
    });
});

suite('what passes share is brought to the device once', { skip: NO_C_API }, () => {
  test('by each batch, however many steps it has', async (t) => {
    const tensors = deviceTensors();
    await using model = await watchedModel(copyOfBase(t), { runtime: tensors.runtime });
    await model.draw([guided({ numInferenceSteps: 9, numImages: 3 })], { maxBatchImages: 2 });
    assert.deepEqual(tensors.shapes('uploaded'), [
      [4, 77, 16],
      [2, 77, 16],
    ]);
    tensors.assertAllFreed();
  });

  test('and again where the guidance of an image ends', async (t) => {
    const tensors = deviceTensors();
    await using model = await watchedModel(copyOfBase(t), { runtime: tensors.runtime });
    await model.draw([guided({ guidanceStop: 0.5 }), guided({ guidanceStop: 0 })], { maxBatchImages: 2 });
    assert.deepEqual(batchOf(tensors), [4, 3, 2]);
    tensors.assertAllFreed();
  });

  test('with XL the pooled vectors and the sizes too', async (t) => {
    const tensors = deviceTensors();
    await using model = await watchedModel(copyOfBase(t, 'base-xl'), { runtime: tensors.runtime });
    await model.draw([guided({ numImages: 2 })], { maxBatchImages: 2 });
    assert.deepEqual(batchOf(tensors), [4, 4, 4]);
    tensors.assertAllFreed();
  });

  test('a run that CUDA would record copies it to its place once, and the prediction alone comes back', async (t) => {
    const copyInto = t.mock.method(DeviceMemory.prototype, 'copyInto');
    const read = t.mock.method(DeviceMemory.prototype, 'read');
    const tensors = deviceTensors({ captured: true });
    await using model = await watchedModel(copyOfBase(t), { runtime: tensors.runtime });
    await model.draw([guided()]);
    // The first run is not recorded. Then latents and timestep change, and the embeddings stay.
    assert.deepEqual(
      copyInto.mock.calls.map(({ arguments: [copies] }) => copies.length),
      [3, 2, 2],
    );
    assert.deepEqual(
      read.mock.calls.map(({ arguments: [{ shape }] }) => shape),
      Array.from({ length: 3 }, () => [2, 4, 5, 6]),
    );
  });

  test('kept features go from the whole network to the shallow one, and through the host only where the rows change', async (t) => {
    const tensors = deviceTensors();
    await using model = await watchedModel(copyOfBase(t), { runtime: tensors.runtime });
    const caching = { deepCache: 3, numInferenceSteps: 6 };
    await model.draw([guided({ ...caching, numImages: 2 })], { maxBatchImages: 2 });
    const kept = tensors.shapes('kept');
    assert.deepEqual([batchOf(tensors), kept.map(([rows]) => rows)], [[4], [4, 4]]);
    tensors.assertAllFreed();
    tensors.seen.length = 0;
    // Guidance ends between a whole pass and a shallow one.
    await model.draw([guided({ ...caching, guidanceStop: 0.7 })]);
    const [, rowsOfPrompt, rowsOfFeature] = tensors.shapes('uploaded');
    assert.deepEqual(
      [rowsOfPrompt, rowsOfFeature],
      [
        [1, 77, 16],
        [1, ...(kept[0] ?? []).slice(1)],
      ],
    );
    assert.equal(tensors.shapes('uploaded').length, 3);
    tensors.assertAllFreed();
  });
});

suite('what a batch has on the device is freed', { skip: NO_C_API }, () => {
  const CACHING = { deepCache: 2 };

  for (const [what, error, code] of [
    ['a pass fails', new Text2ImgError('inference_failed', 'broken.'), 'inference_failed'],
    ['the memory does not suffice', new Text2ImgError('engine_out_of_memory', 'full.'), 'engine_out_of_memory'],
  ] as const)
    test(`when ${what}; smaller batches give the usual bytes afterwards`, async (t) => {
      const tensors = deviceTensors();
      let failing = 0;
      await using model = await watchedModel(copyOfBase(t, 'base-xl'), {
        runtime: tensors.runtime,
        beforeRun: (component) => {
          if (component === 'unet' && --failing === 0) throw error;
        },
      });
      const requests = [guided(CACHING), guided({ ...CACHING, seed: 1 })];
      const expected = await model.draw(requests);
      for (const pass of [1, 2, 3]) {
        failing = pass;
        const drawn = await model.draw(requests, { maxBatchImages: 2 });
        assert.deepEqual(
          drawn.map((job) => job.error?.code),
          [code, code],
        );
        tensors.assertAllFreed();
      }
      assert.deepEqual(await model.draw(requests), expected);
      tensors.assertAllFreed();
    });

  test('when it is cancelled, at whichever pass', async (t) => {
    const tensors = deviceTensors();
    let [passes, last] = [0, 0];
    let controller = new AbortController();
    await using model = await watchedModel(copyOfBase(t), {
      runtime: tensors.runtime,
      beforeRun: (component) => {
        if (component === 'unet' && ++passes === last) controller.abort();
      },
    });
    for (last = 1; last <= 4; last++) {
      [passes, controller] = [0, new AbortController()];
      const [drawn] = await model.draw([guided(CACHING)], { signal: controller.signal });
      assert.equal(drawn?.error?.code, 'cancelled');
      assert.equal(passes, last);
      tensors.assertAllFreed();
    }
    assert.ok(tensors.seen.length > 0);
  });

  test('when a second tensor cannot be brought there', async (t) => {
    let left = Infinity;
    const tensors = deviceTensors({
      beforeUpload: () => {
        if (left-- === 0) throw new Text2ImgError('engine_out_of_memory', 'full.');
      },
    });
    await using model = await watchedModel(copyOfBase(t, 'base-xl'), { runtime: tensors.runtime });
    for (left = 0; left < 3; ) {
      const before = left;
      tensors.seen.length = 0;
      const [drawn] = await model.draw([guided()]);
      assert.deepEqual([drawn?.error?.code, tensors.seen.length], ['engine_out_of_memory', before]);
      tensors.assertAllFreed();
      left = before + 1;
    }
  });

  test('when images overflow, which are generated again in float32 beside it', async (t) => {
    const tensors = deviceTensors();
    const folder = copyWithLarge(t, UNET, 'mid_block.resnets.0.conv1.bias');
    await using model = await watchedModel(folder, { runtime: tensors.runtime, computeType: 'float16' });
    const [drawn] = await model.draw([guided({ ...CACHING, numImages: 2 })], { maxBatchImages: 2 });
    assert.deepEqual([drawn?.error, drawn?.pixels.length], [undefined, 2]);
    // The batch, then each image alone.
    assert.deepEqual(batchOf(tensors), [4, 2, 2]);
    tensors.assertAllFreed();
  });

  test('where networks take turns, with the usual bytes', async (t) => {
    const folder = copyOfBase(t);
    // Latents that are not known: the first preview decodes, for which the UNet rests between two passes.
    setKeys(join(folder, 'vae/config.json'), { scaling_factor: 0.5 });
    const [together, byTurns] = [deviceTensors(), deviceTensors()];
    const requests = [guided(CACHING), guided({ ...CACHING, deepCacheBranch: 3 })];
    await using all = await watchedModel(folder, { runtime: together.runtime });
    await using one = await watchedModel(folder, { runtime: byTurns.runtime, oneAtATime: true });
    assert.deepEqual(await one.draw(requests, { previews: true }), await all.draw(requests));
    const events = one.events.map(({ component, what }) => `${component} ${what}`);
    const first = events.indexOf('unet run');
    const turns = ['unet run', 'unet rest', 'vae run', 'vae rest', 'unet run'];
    assert.deepEqual(events.slice(first, first + turns.length), turns);
    byTurns.assertAllFreed();
  });
});
