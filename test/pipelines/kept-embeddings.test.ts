/** Embeddings that are kept: which texts are not encoded again, that images are the same bytes, and how much memory it takes at most. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import type { ResolvedGenerationRequest } from '../../src/job/generation-request.ts';
import { KeptEmbeddings, type KeptKey } from '../../src/pipelines/parts/kept-embeddings.ts';
import { copyOfBase, copyWithLarge } from '../checkpoint/checkpoint-copies.ts';
import { aRequest } from '../job/a-request.ts';
import { type WatchedModel, watchedModel } from './watched-model.ts';

const request = (stated: Partial<ResolvedGenerationRequest> = {}): ResolvedGenerationRequest =>
  aRequest({
    prompt: 'a red house',
    negativePrompt: '',
    guidanceScale: 6,
    numInferenceSteps: 2,
    widthPx: 32,
    heightPx: 24,
    scheduler: 'EulerDiscreteScheduler',
    ...stated,
  });

/** Draws, and says how often each text encoder ran for it. */
async function encodings(model: WatchedModel, drawn: ResolvedGenerationRequest): Promise<readonly string[]> {
  model.events.length = 0;
  const [drawing] = await model.draw([drawn]);
  assert.equal(drawing?.error, undefined);
  return model.events.flatMap(({ component, what }) =>
    what === 'run' && component.startsWith('text_encoder') ? [component] : [],
  );
}

suite('a text that was encoded is not encoded again', () => {
  for (const [base, encoders] of [
    ['base', ['text_encoder']],
    ['base-xl', ['text_encoder', 'text_encoder_2']],
    ['base-lcm', ['text_encoder']],
  ] as const)
    test(`${base}: another seed and size of the same texts, and the image is the same bytes as in a new process`, async (t) => {
      const folder = copyOfBase(t, base);
      const again = request({ seed: 9, widthPx: 40, ...(base === 'base-lcm' && { scheduler: 'LCMScheduler' }) });
      await using model = await watchedModel(folder);
      const twice = base === 'base-lcm' ? encoders : [...encoders, ...encoders];
      assert.deepEqual(await encodings(model, { ...again, seed: 1, widthPx: 32 }), twice);
      assert.deepEqual(await encodings(model, again), []);
      await using fresh = await watchedModel(folder);
      const [[kept], [expected]] = [await model.draw([again]), await fresh.draw([again])];
      assert.deepEqual(kept, expected);
      assert.equal(kept?.pixels.length, 1);
    });

  test('the empty negative prompt stays while prompts come and go', async (t) => {
    await using model = await watchedModel(copyOfBase(t));
    await encodings(model, request());
    for (const prompt of ['one', 'two', 'three'])
      assert.deepEqual(await encodings(model, request({ prompt })), ['text_encoder']);
    // The empty prompt is the same text.
    assert.deepEqual(await encodings(model, request({ prompt: '' })), []);
  });

  test('jobs of one message share their texts', async (t) => {
    await using model = await watchedModel(copyOfBase(t));
    await model.draw([request({ seed: 1 }), request({ seed: 2 }), request({ seed: 3 })]);
    assert.equal(model.events.filter(({ component }) => component === 'text_encoder').length, 2);
  });

  test('XL without a negative prompt encodes one text once', async (t) => {
    await using model = await watchedModel(copyOfBase(t, 'base-xl'));
    const zeros = request({ negativePrompt: null });
    assert.deepEqual(await encodings(model, zeros), ['text_encoder', 'text_encoder_2']);
    assert.deepEqual(await encodings(model, zeros), []);
  });
});

suite('what changes the embeddings is encoded', () => {
  for (const base of ['base', 'base-xl'] as const)
    test(`another clip_skip of ${base}, each with its own image`, async (t) => {
      const folder = copyOfBase(t, base);
      await using model = await watchedModel(folder);
      await encodings(model, request());
      const skipping = request({ clipSkip: 1 });
      assert.equal((await encodings(model, skipping)).length, base === 'base' ? 1 : 2);
      await using fresh = await watchedModel(folder);
      const expected = await fresh.draw([skipping, request()]);
      assert.deepEqual(await model.draw([skipping, request()]), expected);
      assert.notDeepEqual(expected[0]?.pixels, expected[1]?.pixels);
    });

  test('a second prompt of XL, by its own encoder only', async (t) => {
    await using model = await watchedModel(copyOfBase(t, 'base-xl'));
    await encodings(model, request());
    assert.deepEqual(await encodings(model, request({ prompt2: 'in the snow' })), ['text_encoder_2']);
    assert.deepEqual(await encodings(model, request({ prompt: 'in the snow' })), ['text_encoder']);
  });

  test('a kept text that is too long is told again', async (t) => {
    await using model = await watchedModel(copyOfBase(t));
    const long = request({ prompt: 'a small red house beside a lake, '.repeat(20) });
    const [[first], [second]] = [await model.draw([long]), await model.draw([long])];
    assert.match(second?.warnings.join() ?? '', /^The prompt was cut/);
    assert.deepEqual(second, first);
  });

  test('the rest of a text that does not fit changes the sentence and not the embeddings', async (t) => {
    await using model = await watchedModel(copyOfBase(t));
    const start = 'a small red house beside a lake, '.repeat(10);
    await encodings(model, request({ prompt: `${start}one` }));
    model.events.length = 0;
    const [drawn] = await model.draw([request({ prompt: `${start}two` })]);
    assert.match(drawn?.warnings.join() ?? '', /two"$/);
    assert.equal(model.events.filter(({ component }) => component === 'text_encoder').length, 0);
  });
});

test('networks that take turns: a kept prompt does not bring the text encoder back into memory', async (t) => {
  await using model = await watchedModel(copyOfBase(t), { oneAtATime: true });
  await model.draw([request({ seed: 1 })]);
  model.events.length = 0;
  await model.draw([request({ seed: 2 })]);
  assert.deepEqual(
    model.events.map(({ component, what }) => `${component} ${what}`),
    ['vae rest', 'unet run', 'unet run', 'unet rest', 'vae run'],
  );
});

suite('only a good result is kept', () => {
  test('an encoder that fails is asked again', async (t) => {
    let fails = true;
    await using model = await watchedModel(copyOfBase(t), {
      beforeRun: (component) => {
        if (component === 'text_encoder' && fails) throw new Error('out of paper');
      },
    });
    const [failed] = await model.draw([request()]);
    assert.match(failed?.error?.message ?? '', /out of paper/);
    fails = false;
    assert.deepEqual(await encodings(model, request()), ['text_encoder', 'text_encoder']);
  });

  test('a text whose job was cancelled meanwhile is encoded again', async (t) => {
    const cancel = new AbortController();
    await using model = await watchedModel(copyOfBase(t), { beforeRun: () => cancel.abort() });
    const [cancelled] = await model.draw([request()], { signal: cancel.signal });
    assert.equal(cancelled?.error?.code, 'cancelled');
    assert.deepEqual(await encodings(model, request()), ['text_encoder', 'text_encoder']);
  });

  test('numbers that are not finite', async (t) => {
    const layer = 'text_model.encoder.layers.0.mlp.fc1.bias';
    await using model = await watchedModel(copyWithLarge(t, 'text_encoder/model.safetensors', layer), {
      computeType: 'float16',
    });
    // In float16 it overflows; the same texts in float32 are kept, and told again.
    const [first] = await model.draw([request()]);
    assert.deepEqual(
      model.events.filter(({ component }) => component === 'text_encoder').map(({ computeType }) => computeType),
      ['float16', 'float32', 'float16', 'float32'],
    );
    model.events.length = 0;
    const [second] = await model.draw([request()]);
    assert.equal(model.events.filter(({ component }) => component === 'text_encoder').length, 0);
    assert.deepEqual(second, first);
    assert.deepEqual(
      second?.warnings.map((sentence) => sentence.replace(/,.*/, '')),
      ['The negative prompt was encoded again in float32', 'The prompt was encoded again in float32'],
    );
  });

  test('XL: an overflow of one encoder’s vector keeps the other encoder’s float16', async (t) => {
    const { num_hidden_layers: layers } = JSON.parse(
      readFileSync(new URL('../golden/base-xl/text_encoder_2/config.json', import.meta.url), 'utf8'),
    ) as { num_hidden_layers: number };
    const layer = `text_model.encoder.layers.${layers - 1}.mlp.fc1.bias`;
    const folder = copyWithLarge(t, 'text_encoder_2/model.safetensors', layer, 'base-xl');
    await using model = await watchedModel(folder, { computeType: 'float16' });
    const [first] = await model.draw([request({ negativePrompt: null })]);
    assert.deepEqual(
      model.events
        .filter(({ component }) => component.startsWith('text_encoder'))
        .map(({ component, computeType }) => `${component} ${computeType}`),
      ['text_encoder float16', 'text_encoder_2 float16', 'text_encoder_2 float32'],
    );
    assert.deepEqual(await encodings(model, request({ negativePrompt: null })), []);
    assert.deepEqual((await model.draw([request({ negativePrompt: null })]))[0], first);
  });
});

suite('memory', () => {
  const LENGTH = 1000;
  const keyOf = (text: number, more: Partial<KeptKey> = {}): KeptKey => ({
    inputIds: Int32Array.of(text, 0),
    skippedLayers: 0,
    precision: 'usual',
    ...more,
  });
  const numbers = (value: number): { readonly hiddenStates: Float32Array } => ({
    hiddenStates: new Float32Array(LENGTH).fill(value),
  });
  const isKept = (kept: KeptEmbeddings, text: number): boolean => kept.find(keyOf(text)) !== undefined;

  test('is never more than the limit, and the texts that were used longest ago go first', () => {
    const limit = 10 * 4 * LENGTH;
    const kept = new KeptEmbeddings(limit);
    for (let text = 0; text < 500; text++) {
      kept.keep(keyOf(text), numbers(text));
      // As the empty negative prompt: every request uses it.
      assert.equal(kept.find(keyOf(0))?.hiddenStates[0], 0);
      assert.ok(kept.bytes <= limit, `${kept.bytes} after ${text}`);
    }
    const found = Array.from({ length: 500 }, (_, text) => text).filter((text) => isKept(kept, text));
    assert.ok(found.length >= 6 && found.length * 4 * LENGTH <= kept.bytes, `${found.length} in ${kept.bytes} bytes`);
    assert.deepEqual(found, [0, ...found.slice(1).map((_, index) => 500 - found.length + 1 + index)]);
  });

  test('a result that is larger than the limit is not kept, and removes nothing', () => {
    const kept = new KeptEmbeddings(10_000);
    kept.keep(keyOf(1), numbers(1));
    kept.keep(keyOf(2), { hiddenStates: new Float32Array(3000) });
    assert.deepEqual([isKept(kept, 1), isKept(kept, 2)], [true, false]);
  });

  test('a part of a larger memory counts as all of it', () => {
    const kept = new KeptEmbeddings(10_000);
    const whole = new Float32Array(3000);
    kept.keep(keyOf(1), { hiddenStates: whole.subarray(0, 10) });
    assert.equal(isKept(kept, 1), false);
  });

  test('the same text twice counts once', () => {
    const kept = new KeptEmbeddings();
    kept.keep(keyOf(1), numbers(1));
    const { bytes } = kept;
    kept.keep(keyOf(1), numbers(2));
    assert.deepEqual([kept.bytes, kept.find(keyOf(1))?.hiddenStates[0]], [bytes, 2]);
  });

  test('tokens, layers and precision each have their own', () => {
    const kept = new KeptEmbeddings();
    const keys = [
      keyOf(1),
      keyOf(1, { skippedLayers: 1 }),
      keyOf(1, { precision: 'full' }),
      keyOf(1, { inputIds: Int32Array.of(1, 0, 0) }),
      keyOf(11, { inputIds: Int32Array.of(11, 0) }),
      keyOf(1, { inputIds: Int32Array.of(1, 10) }),
    ];
    for (const [index, key] of keys.entries()) kept.keep(key, numbers(index));
    assert.deepEqual(
      keys.map((key) => kept.find(key)?.hiddenStates[0]),
      keys.map((_, index) => index),
    );
  });
});
