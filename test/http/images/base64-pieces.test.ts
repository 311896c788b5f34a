/** Images in base64 that come piece by piece, and what becomes of the open image when the reader leaves. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { base64Pieces, jsonWithImage } from '../../../src/http/images/base64-pieces.ts';
import { withFirst } from '../../../src/http/images/first-piece.ts';
import { allOf } from '../../lib/all-of.ts';
import { storedImage } from './stored-image.ts';

test('pieces of any lengths are the base64 of the whole', async () => {
  for (const lengths of [[], [0], [1], [2], [3], [1, 1], [1, 1, 1], [2, 2, 5, 0, 1], [64, 3, 1000, 2]]) {
    const pieces = lengths.map((length) => randomBytes(length));
    const text = (await allOf(base64Pieces(storedImage({ pieces })))).join('');
    assert.equal(text, Buffer.concat(pieces).toString('base64'), lengths.join());
  }
});

test('the image stands in an object between any other fields', async () => {
  const image = storedImage({ pieces: [Uint8Array.of(1, 2, 3)] });
  for (const [before, after] of [
    [{}, {}],
    [{ a: 1 }, {}],
    [{}, { b: '"' }],
    [{ a: [1] }, { b: { c: null } }],
  ]) {
    const text = (
      await allOf(jsonWithImage(image, { ...(before && { before }), name: 'image', after: after ?? {} }))
    ).join('');
    assert.deepEqual(JSON.parse(text), { ...before, image: 'AQID', ...after });
  }
});

test('an image is closed at its end, and when its reader leaves at any point, also before it began', async () => {
  for (const taken of [0, 1, 2, 3]) {
    const image = storedImage({ pieces: [randomBytes(3), randomBytes(3)] });
    const stream = Readable.from(await withFirst(base64Pieces(image)), { objectMode: false, highWaterMark: 1 });
    const iterator = stream[Symbol.asyncIterator]();
    for (let n = 0; n < taken; n++) await iterator.next();
    stream.destroy();
    while (!stream.closed) await new Promise(setImmediate);
    assert.equal(image.openNow, 0, `after ${taken} pieces`);
  }
});

test('what goes wrong before the first piece is thrown before anything is sent', async () => {
  const image = storedImage({ pieces: [], trouble: new Error('gone') });
  await assert.rejects(withFirst(base64Pieces(image)), /gone/);
  assert.equal(image.openNow, 0);
});
