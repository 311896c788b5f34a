/** What a document says that nobody reads is told once, in `job.warnings` and in the log. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePlace, show, work } from './place.ts';

test('a finished job warns of unread fields in one entry, and of prompt syntax in another; users’ own fields are left alone', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'a', text: 'a {red|blue} cat', num_inference_step: 4, sampler_name: 'Euler a', mine: 1 },
    { _id: 'b', text: 'a cat', weight: 3, test: true, steps: 20, num_inference_steps: 2 },
    { _id: 'c', text: 'a cat', seed: -1 },
  ]);
  const { summary } = await work(place);
  assert.equal(summary.completed, 3);
  const { warnings = [] } = await show(place, 'a');
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? '', /^"\{red\|blue\}" in the prompt: read as plain text/);
  assert.match(
    warnings[1] ?? '',
    /"num_inference_step" \(perhaps "num_inference_steps"\), "sampler_name" \(perhaps "scheduler"\)\.$/,
  );
  assert.deepEqual((await show(place, 'b')).warnings, []);
  const { seed } = await show(place, 'c');
  assert.ok(seed !== undefined && seed >= 0 && seed < 2 ** 32);
});
