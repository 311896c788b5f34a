/** Vectors that are missing or incomplete are refused with the case to write and the command that follows. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missingCase, noVectors } from './no-vectors.ts';

const className = 'HeunDiscreteScheduler';
const heun = { className, keys: ['clip_sample', 'trained_betas'], takes: ['timesteps'] };
const filled = { config: { clip_sample: true }, result: [0.5] };

for (const [what, sentence, names] of [
  ['has no file', noVectors(className), /no vectors of HeunDiscreteScheduler; write its cases into/],
  ['has a case that is not filled', missingCase(heun, [filled, { config: {} }]), /^case 2 of .* has no output/],
  ['has no case with an argument', missingCase(heun, [filled]), /^no case of \w+ has "timesteps"; add one/],
  ['has no loop that begins at an image', missingCase(heun, [{ ...filled, timesteps: [9] }]), /has "strength"/],
  [
    'has no case with a key that it reads',
    missingCase(heun, [{ config: {}, result: [], timesteps: [9], strength: 0.5 }]),
    /sets "clip_sample", which the class reads; add one/,
  ],
] as const) {
  test(`a class that ${what} is told what to write and which command follows`, () => {
    assert.match(sentence ?? '', names);
    assert.match(sentence ?? '', /test\/schedulers\/vectors\/HeunDiscreteScheduler\.json/);
    assert.match(sentence ?? '', /run: \S+python reference\/fill_scheduler_vectors\.py .*reference\/README\.md/);
  });
}

test('complete cases lack nothing, and the program that fills them is there', () => {
  assert.equal(
    missingCase(heun, [
      { ...filled, timesteps: [9] },
      { ...filled, strength: 0.5 },
    ]),
    undefined,
  );
  assert.ok(existsSync(fileURLToPath(new URL('../../reference/fill_scheduler_vectors.py', import.meta.url))));
});
