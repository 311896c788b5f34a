/** The body of new prompts: what becomes a document, and what is refused. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ErrorCode } from '../../../src/errors/error-codes.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';
import { NamedModels } from '../../../src/http/front/model-directory.ts';
import { readNewPrompts } from '../../../src/http/jobs/new-prompts.ts';

const models = new NamedModels({
  named: [
    { id: 'demo', aliases: ['small'] },
    { id: 'org/large', aliases: [] },
  ],
  fallback: 'demo',
  isStrict: false,
  ofWorkers: () => [],
  nowMs: () => 0,
});
const read = (body: unknown): ReturnType<typeof readNewPrompts> => readNewPrompts(body, { models, maxPrompts: 3 });

function refusedWith(code: ErrorCode, ...parts: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof Text2ImgError, String(error));
    assert.equal(error.code, code, error.message);
    for (const part of parts) assert.ok(error.message.includes(part), error.message);
    return true;
  };
}

test('one prompt keeps its fields and the user’s own, and names its model by any of its names', () => {
  const body = { text: 'a circle', seed: 7, my_field: { deep: [1] }, model: 'small' };
  const { prompts, warnings, isList } = read(body);
  assert.deepEqual(prompts, [{ document: { text: 'a circle', seed: 7, my_field: { deep: [1] } }, model: 'demo' }]);
  assert.deepEqual([warnings, isList], [[[]], false]);
});

test('a list stays a list, also of one', () => {
  const { prompts, isList } = read([{ text: 'a', model: 'org/large' }]);
  assert.deepEqual([prompts.map(({ model }) => model), isList], [['org/large'], true]);
});

test('a field that looks like a slip is kept, and named in a warning', () => {
  const { prompts, warnings } = read({ text: 'a', num_inference_step: 3, sampler_name: 'Euler' });
  assert.equal(prompts[0]?.document['num_inference_step'], 3);
  assert.match(warnings[0]?.[0] ?? '', /"num_inference_step" \(perhaps "num_inference_steps"\).*"sampler_name"/);
});

test('what the service writes itself is refused by its name', () => {
  for (const name of ['_id', 'job', 'status'])
    assert.throws(() => read({ text: 'a', [name]: 'pending' }), refusedWith('invalid_document', `"${name}"`));
});

test('another tool’s name for the text is told', () => {
  assert.throws(() => read({ prompt: 'a circle' }), refusedWith('invalid_prompt', '"prompt"', '"text"'));
});

test('a prompt of a list is named by its number', () => {
  assert.throws(() => read([{ text: 'a' }, { text: 'b', _id: 1 }]), refusedWith('invalid_document', 'Prompt 2 of 2'));
  assert.throws(() => read([{ text: 'a', model: 'none' }]), refusedWith('model_not_found', 'Prompt 1 of 1', '"none"'));
});

test('a body that is no prompt, an empty list and one too many are refused', () => {
  for (const body of [undefined, null, 7, 'text', [null], [[{ text: 'a' }]]])
    assert.throws(() => read(body), refusedWith('invalid_document', 'JSON object'), JSON.stringify(body));
  assert.throws(() => read([]), refusedWith('invalid_document', '0 prompts', '1 to 3'));
  assert.throws(() => read(Array(4).fill({ text: 'a' })), refusedWith('invalid_document', '4 prompts', '1 to 3'));
  assert.throws(() => read({ text: 'a', model: 7 }), refusedWith('invalid_parameter', '"model"'));
});

test('names that every object inherits are fields like others', () => {
  const body: unknown = JSON.parse('{"text":"a","__proto__":1,"constructor":2}');
  const { document } = read(body).prompts[0] ?? assert.fail();
  assert.deepEqual(Object.keys(document).toSorted(), ['__proto__', 'constructor', 'text']);
});
