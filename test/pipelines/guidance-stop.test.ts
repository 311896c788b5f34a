/**
 * `guidance_stop` and guidance that is off, beside the pixels of test/golden: how many rows a pass has, batches of requests whose guidance ends at
 * different passes, and the second text, which nobody encodes where nothing reads it.
 */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { imageParameters } from '../../src/image/image-parameters.ts';
import { formatGenerationParameters, parseGenerationParameters } from '../../src/image/parameters-text.ts';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { parsePromptDocument } from '../../src/job/prompt-document.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import { lastGuidedPass } from '../../src/pipelines/parts/guidance.ts';
import { copyOfBase } from '../checkpoint/checkpoint-copies.ts';
import { aRequest, MODEL_FACTS } from '../job/a-request.ts';
import { watchedModel } from './watched-model.ts';

const SMALL = { numInferenceSteps: 4, widthPx: 48, heightPx: 40, scheduler: 'EulerDiscreteScheduler' };
const guided = (stated: Partial<ResolvedGenerationRequest>): ResolvedGenerationRequest =>
  aRequest({ prompt: 'a red house', negativePrompt: 'blurry', guidanceScale: 6, ...SMALL, ...stated });

suite('guidance ends', () => {
  // As int(num_timesteps * cutoff_step_ratio) of diffusers' callback, which ends guidance after the step with this number.
  for (const [passes, stop, last] of [
    [4, null, 4],
    [4, 1, 4],
    [4, 0, 0],
    [4, 0.5, 2],
    [4, 0.74, 2],
    [100, 0.57, 56],
    [1000, 0.29, 290],
    [9, 0.3, 2],
  ] as const)
    test(`after pass ${last} of ${passes} with guidance_stop ${stop}`, () => {
      assert.equal(lastGuidedPass(passes, stop), last);
    });
});

for (const base of ['base', 'base-xl'] as const)
  suite(`guidance_stop of ${base}`, () => {
    test('passes after the end of guidance have one row', async (t) => {
      await using model = await watchedModel(copyOfBase(t, base));
      const rowsOf = async (stated: Partial<ResolvedGenerationRequest>): Promise<readonly number[]> => {
        model.events.length = 0;
        const [drawn] = await model.draw([guided(stated)]);
        assert.equal(drawn?.error, undefined);
        return model.events.filter(({ component }) => component === 'unet').map(({ rows }) => rows);
      };
      assert.deepEqual(await rowsOf({}), [2, 2, 2, 2]);
      assert.deepEqual(await rowsOf({ guidanceStop: 1 }), [2, 2, 2, 2]);
      assert.deepEqual(await rowsOf({ guidanceStop: 0.5 }), [2, 2, 2, 1]);
      assert.deepEqual(await rowsOf({ guidanceStop: 0 }), [2, 1, 1, 1]);
      assert.deepEqual(await rowsOf({ guidanceStop: 0, guidanceScale: 1 }), [1, 1, 1, 1]);
      const twoPasses = { scheduler: 'HeunDiscreteScheduler', numInferenceSteps: 2, guidanceStop: 0.4 };
      assert.deepEqual(await rowsOf(twoPasses), [2, 2, 1]);
    });

    test('requests whose guidance ends at different passes share passes, bit for bit as alone', async (t) => {
      await using model = await watchedModel(copyOfBase(t, base));
      const requests = [null, 0, 0.3, 0.5, 1].map((guidanceStop, index) =>
        guided({
          guidanceStop,
          seed: index % 2,
          ...(index === 2 && { prompt: 'a lake', guidanceRescale: 0.6 }),
          numImages: index === 3 ? 2 : 1,
        }),
      );
      const together = await model.draw(requests, { maxBatchImages: 6 });
      const passes = model.events.filter(({ component }) => component === 'unet').map(({ rows }) => rows);
      assert.deepEqual(passes, [12, 11, 10, 8]);
      assert.deepEqual(together, await model.draw(requests));
      const images = together.flatMap(({ pixels }) => pixels.map((image) => Buffer.from(image).toString('base64')));
      // A stop of 1 is the image without one.
      assert.equal(new Set(images).size, 5);
      assert.deepEqual(together[4]?.pixels, together[0]?.pixels);
    });
  });

suite('where guidance is off', () => {
  const MODELS = [
    { base: 'base', encoders: ['text_encoder'], scales: [0, 0.5, 1] },
    { base: 'base-xl', encoders: ['text_encoder', 'text_encoder_2'], scales: [0, 0.5, 1] },
    { base: 'base-lcm', encoders: ['text_encoder'], scales: [0, 1, 8.5] },
  ] as const;
  for (const { base, encoders, scales } of MODELS)
    for (const guidanceScale of scales)
      test(`${base} with guidance ${guidanceScale} runs one half and encodes one text`, async (t) => {
        await using model = await watchedModel(copyOfBase(t, base));
        const request = guided({ guidanceScale, scheduler: base === 'base-lcm' ? 'LCMScheduler' : SMALL.scheduler });
        const [drawn] = await model.draw([request]);
        assert.equal(drawn?.error, undefined);
        const runs = model.events.map(({ component, rows }) => `${component} ${rows}`);
        const passes = Array.from({ length: 4 }, () => 'unet 1');
        assert.deepEqual(runs, [...encoders.map((name) => `${name} 1`), ...passes, 'vae 1']);
      });

  test('LCM-SDXL, whose UNet reads the guidance, runs one half with guidance 8, and says that guidance_stop has no effect', async (t) => {
    const folder = copyOfBase(t, 'base-xl');
    cpSync(fileURLToPath(new URL('../golden/xl-lcm/checkpoint', import.meta.url)), folder, { recursive: true });
    await using model = await watchedModel(folder);
    const request = guided({ guidanceScale: 8, scheduler: 'LCMScheduler' });
    const unread = { guidanceStop: 0, guidanceRescale: 0.5 };
    const [drawn, stopped, whole] = await model.draw([
      request,
      { ...request, ...unread },
      { ...request, guidanceStop: 1, guidanceRescale: 0 },
    ]);
    assert.deepEqual([drawn?.error, drawn?.warnings, stopped?.pixels, whole], [undefined, [], drawn?.pixels, drawn]);
    assert.deepEqual(stopped?.warnings, [
      '"guidance_rescale" has no effect with this model, whose UNet reads the guidance itself.',
      '"guidance_stop" has no effect with this model, whose UNet reads the guidance itself.',
    ]);
    const runs = model.events.map(({ component, rows }) => `${component} ${rows}`);
    const passes = [...Array.from({ length: 4 }, () => 'unet 1'), 'vae 1'];
    assert.deepEqual(runs, ['text_encoder 1', 'text_encoder_2 1', ...passes, ...passes, ...passes]);
  });

  test('nothing is said about a negative prompt that is too long', async (t) => {
    await using model = await watchedModel(copyOfBase(t));
    const negativePrompt = 'a small red house beside a lake, '.repeat(20);
    const [off, on] = await model.draw([guided({ negativePrompt, guidanceScale: 1 }), guided({ negativePrompt })]);
    assert.deepEqual(off?.warnings, []);
    assert.match(on?.warnings.join() ?? '', /^The negative prompt was cut/);
  });
});

test('a guidance_stop beyond 0 and 1 is refused with its range', () => {
  for (const guidance_stop of [-0.1, 1.1, '0.5', NaN])
    assert.throws(() => parsePromptDocument({ text: '', guidance_stop }, DEFAULT_LIMITS), {
      code: 'invalid_parameter',
      message: /"guidance_stop" .* from 0 to 1/,
    });
});

test('a PNG keeps guidance_stop where there is one', () => {
  const text = (guidanceStop: number | null): string =>
    formatGenerationParameters(
      imageParameters(aRequest({ guidanceStop }), MODEL_FACTS, { seed: 1, widthPx: 64, heightPx: 64 }),
    );
  assert.match(text(0.35), /, Guidance stop: 0\.35,/);
  for (const stop of [0, 0.35, 1]) assert.equal(parseGenerationParameters(text(stop)).guidanceStop, stop);
  assert.doesNotMatch(text(null), /Guidance stop/);
});

test('a document without guidance_stop gets none', () => {
  const { request } = parsePromptDocument({ text: '' }, DEFAULT_LIMITS);
  const options = { defaults: {}, model: MODEL_FACTS, limits: DEFAULT_LIMITS, seed: 0 };
  assert.equal(resolveRequest(request, options).guidanceStop, null);
  assert.equal(resolveRequest(request, { ...options, defaults: { guidanceStop: 0.4 } }).guidanceStop, 0.4);
});
