import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { makePlace, work } from './place.ts';

test('images that are made before the model’s hash is known have none, and later ones have it', async (t) => {
  const place = await makePlace(t);
  await place.queue.enqueue([
    { _id: 'before', text: 'a fox' },
    { _id: 'meanwhile', text: '[hash 6ce0161689]' },
    { _id: 'after', text: 'a fox' },
  ]);
  await work(place, { batchSize: 1 });
  const hashOf = async (id: string): Promise<string | null | undefined> =>
    readGenerationParameters(await readFile(join(place.folder, `generated/${id}.png`))).modelHash;
  assert.equal((await hashOf('before')) ?? undefined, undefined);
  assert.equal(await hashOf('after'), '6ce0161689');
});
