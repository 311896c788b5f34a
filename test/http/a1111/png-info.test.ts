/** The parameters inside a PNG come back as text and by their names. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pngInfo } from '../../../src/http/a1111/png-info.ts';
import { encodePng } from '../../../src/image/encode-png.ts';
import { formatGenerationParameters, type GenerationParameters } from '../../../src/image/parameters-text.ts';

const parameters: GenerationParameters = {
  prompt: 'a fox,\nin snow',
  negativePrompt: 'blurry',
  numInferenceSteps: 20,
  scheduler: 'dpmpp_2m_karras',
  guidanceScale: 7,
  seed: 5,
  widthPx: 8,
  heightPx: 16,
  modelName: 'sd15',
  modelHash: null,
};
const pixels = { rgb: new Uint8Array(8 * 16 * 3), widthPx: 8, heightPx: 16 };
const base64 = async (png: Promise<Uint8Array>) => Buffer.from(await png).toString('base64');

test('text and values of a PNG are found, as base64 and as a data URL', async () => {
  const image = await base64(encodePng({ ...pixels, parameters }));
  const text = formatGenerationParameters(parameters);
  for (const sent of [image, `data:image/png;base64,${image}`, ` ${image}\n`]) {
    const answer = pngInfo({ image: sent }) as { info: string; items: object; parameters: Record<string, string> };
    assert.equal(answer.info, text);
    assert.deepEqual(answer.items, { parameters: text });
    const { Prompt, Steps, Sampler, Seed } = answer.parameters;
    assert.deepEqual([Prompt, Steps, Sampler, Seed], ['a fox,\nin snow', '20', 'DPM++ 2M Karras', '5']);
    assert.deepEqual([answer.parameters['Size-1'], answer.parameters['Size-2']], ['8', '16']);
    assert.equal(answer.parameters['Negative prompt'], 'blurry');
  }
});

test('a PNG without parameters has empty ones', async () => {
  const image = await base64(encodePng(pixels));
  assert.deepEqual(pngInfo({ image }), { info: '', items: {}, parameters: {} });
});

test('anything but a PNG is refused without its content', () => {
  for (const image of [
    undefined,
    null,
    '',
    5,
    'not base64!',
    'AAAA',
    'data:image/jpeg;base64,/9j/4AAQ',
    '='.repeat(100_000),
  ])
    assert.throws(
      () => pngInfo({ image }),
      { code: 'invalid_parameter', message: /^"image" / },
      String(image).slice(0, 20),
    );
});
