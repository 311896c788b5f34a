/** The end of `run` and `generate`. */
import assert from 'node:assert/strict';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { googleSettings } from '../../src/config/google.ts';
import { madeText, placeOf, shortPlace } from '../../src/cli/made-text.ts';

test('the last line names number, place and time', () => {
  assert.equal(
    madeText({ images: 14, place: 'gs://b/generated', elapsedMs: 131_000 }),
    '14 images in gs://b/generated (2 min 11 s)',
  );
  assert.equal(madeText({ images: 1, place: '.', elapsedMs: 900 }), '1 image in . (0.9 s)');
  assert.equal(madeText({ images: 0, place: '.', elapsedMs: 900 }), '0 images (0.9 s)');
});

test('the place is the bucket with the prefix’s folder, or the folder', () => {
  const google = googleSettings({});
  const bucket = { kind: 'bucket', bucket: 'b', google, signedUrls: false } as const;
  for (const [prefix, url] of [
    ['generated/', 'gs://b/generated'],
    ['a/b/c-', 'gs://b/a/b'],
    ['c-', 'gs://b'],
    ['', 'gs://b'],
  ] as const)
    assert.equal(placeOf({ place: bucket, prefix }), url);
  assert.equal(
    placeOf({ place: { kind: 'folder', dataDir: 'data' }, prefix: 'generated/' }),
    resolve('data/generated'),
  );
});

test('a place below the working folder is short, every other one whole', () => {
  const here = resolve('/work/here');
  assert.equal(shortPlace(join(here, 'data', 'generated'), here), join('data', 'generated'));
  assert.equal(shortPlace(here, here), '.');
  assert.equal(shortPlace(resolve('/work/there'), here), resolve('/work/there'));
  assert.equal(shortPlace('gs://b/generated', here), 'gs://b/generated');
});
