/** Fields that nobody reads: slips and other tools' names are found, users' own fields are left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unreadFields, unreadFieldsWarning } from '../../src/job/foreign-fields.ts';
import { PROMPT_FIELDS } from '../../src/job/prompt-document.ts';

for (const [name, meant] of [
  ['num_inference_step', 'num_inference_steps'],
  ['num_inferense_stpes', 'num_inference_steps'],
  ['negative_promt', 'negative_prompt'],
  ['Negative-Prompt', 'negative_prompt'],
  ['guidance_sclae', 'guidance_scale'],
  ['widht', 'width'],
  ['hieght', 'height'],
  ['seeds', 'seed'],
  ['SEED', 'seed'],
  ['scheduller', 'scheduler'],
  ['callback_uri', 'callback_url'],
  ['txt', 'text'],
  ['prompt', 'text'],
] as const) {
  test(`${name} is a slip for ${meant}, unless ${meant} is there too`, () => {
    assert.deepEqual(unreadFields(['mine', name]), [{ name, meant, kind: 'slip' }]);
    assert.deepEqual(unreadFields([meant, name]), []);
  });
}

for (const [name, meant] of [
  ['sampler_name', 'scheduler'],
  ['negativePrompt', 'negative_prompt'],
  ['numInferenceSteps', 'num_inference_steps'],
  ['steps', 'num_inference_steps'],
  ['cfg_scale', 'guidance_scale'],
  ['cfgScale', 'guidance_scale'],
  ['n_iter', 'num_images'],
  ['batch_size', 'num_images'],
] as const) {
  test(`${name} is another tool’s name for ${meant}`, () => {
    assert.deepEqual(unreadFields(['text', name]), [{ name, meant, kind: 'foreign' }]);
  });
}

test('fields of the service and words that only resemble a field are the user’s own', () => {
  const own =
    'status image_url image_urls error job _id created_at test next weight send need with eight speed schedule size tags type title width2 user constructor __proto__ toString';
  assert.deepEqual(unreadFields([...PROMPT_FIELDS, ...own.split(' ')]), []);
  // Without one of our own fields beside them, too.
  assert.deepEqual(unreadFields(own.split(' ')), []);
  assert.equal(unreadFieldsWarning(own.split(' ')), undefined);
});

test('the warning names what was meant, is bounded and holds no control characters', () => {
  assert.equal(
    unreadFieldsWarning(['text', 'sampler_name', 'num_inference_step']),
    'fields of the document are not read: "sampler_name" (perhaps "scheduler"), "num_inference_step" (perhaps "num_inference_steps").',
  );
  const many = Array.from({ length: 100_000 }, (_, index) => `num_images${'_'.repeat(index % 40)}\u009b`.slice(0, 60));
  const warning = unreadFieldsWarning(['seeds', ...many, 'x'.repeat(1_000_000)]) ?? '';
  assert.ok(warning.length > 0 && warning.length < 1000, String(warning.length));
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(warning, /[\u0000-\u001f\u007f-\u009f]/);
});
