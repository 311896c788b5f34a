/** Links to images: what they open, for how long, and what no change of them opens. */
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { imageIndexOf, imagePath, UrlSigner } from '../../../src/http/images/sign-url.ts';

const START_MS = 1_800_000_000_000;
const PLACE = { id: '65a1b2c3d4e5f60718293a4b', index: 0 };

function partsOf(link: string): { readonly path: string; readonly exp: string; readonly sig: string } {
  const url = new URL(link, 'http://server');
  return {
    path: url.pathname,
    exp: url.searchParams.get('exp') ?? assert.fail(),
    sig: url.searchParams.get('sig') ?? assert.fail(),
  };
}

test('a link opens its image for an hour, and not a second longer', () => {
  let nowMs = START_MS;
  const signer = new UrlSigner({ secrets: ['a secret'], now: () => nowMs });
  const { path, exp, sig } = partsOf(signer.sign(PLACE));
  assert.equal(path, '/images/65a1b2c3d4e5f60718293a4b/0.png');
  assert.deepEqual(signer.check({ ...PLACE, exp, sig }), { kind: 'valid', secondsLeft: 3600 });
  nowMs += 3_599_000;
  assert.deepEqual(signer.check({ ...PLACE, exp, sig }), { kind: 'valid', secondsLeft: 1 });
  nowMs += 1000;
  assert.deepEqual(signer.check({ ...PLACE, exp, sig }), { kind: 'expired' });
});

test('the signature is the HMAC-SHA256 of version, id, number and end, so that another program can make one', () => {
  const { exp, sig } = partsOf(new UrlSigner({ secrets: ['s'], now: () => START_MS }).sign({ id: 'a/b', index: 3 }));
  assert.equal(sig, createHmac('sha256', 's').update(`v1\na/b\n3\n${exp}`).digest('base64url'));
});

test('a link that was changed in any part is invalid', () => {
  const signer = new UrlSigner({ secrets: ['a secret'], now: () => START_MS });
  const { exp, sig } = partsOf(signer.sign(PLACE));
  const good = { ...PLACE, exp, sig };
  for (const bad of [
    { ...good, id: '65a1b2c3d4e5f60718293a4c' },
    { ...good, index: 1 },
    { ...good, exp: String(Number(exp) + 1) },
    { ...good, exp: `0${exp}` },
    { ...good, exp: `${exp}.0` },
    { ...good, exp: '9'.repeat(400) },
    { ...good, exp: undefined },
    { ...good, exp: [exp, exp] },
    { ...good, sig: sig.slice(1) },
    { ...good, sig: `${sig}=` },
    { ...good, sig: sig.toUpperCase() },
    { ...good, sig: '' },
    { ...good, sig: undefined },
    { ...good, sig: [sig] },
  ])
    assert.deepEqual(signer.check(bad), { kind: 'invalid' }, JSON.stringify(bad));
  assert.equal(signer.check(good).kind, 'valid');
});

test('an id with a line end cannot stand for another id and number', () => {
  const signer = new UrlSigner({ secrets: ['s'], now: () => START_MS });
  const { exp, sig } = partsOf(signer.sign({ id: 'a\n0', index: 1 }));
  assert.deepEqual(signer.check({ id: 'a', index: 0, exp, sig }), { kind: 'invalid' });
});

test('a new secret signs at once, and links of the old one live on while it is listed', () => {
  const now = (): number => START_MS;
  const { exp, sig } = partsOf(new UrlSigner({ secrets: ['old'], now }).sign(PLACE));
  const both = new UrlSigner({ secrets: ['new', 'old'], now });
  assert.equal(both.check({ ...PLACE, exp, sig }).kind, 'valid');
  assert.equal(new UrlSigner({ secrets: ['new'], now }).check({ ...PLACE, exp, sig }).kind, 'invalid');
  const fresh = partsOf(both.sign(PLACE));
  assert.equal(new UrlSigner({ secrets: ['new'], now }).check({ ...PLACE, ...fresh }).kind, 'valid');
});

test('the path of any id is one segment that ends in .png', () => {
  for (const id of ['a b', 'a/../b', '?x=1#y', 'ü', '7', '%2F']) {
    const { pathname } = new URL(imagePath({ id, index: 12 }), 'http://server');
    const [, folder, encoded = '', file] = pathname.split('/');
    assert.deepEqual([folder, decodeURIComponent(encoded), file], ['images', id, '12.png']);
  }
});

test('an image has one name only', () => {
  assert.deepEqual(['0.png', '7.png', '123456.png'].map(imageIndexOf), [0, 7, 123456]);
  for (const name of ['', '.png', '00.png', '-1.png', '1.PNG', '1.png.png', '1', '1e2.png', '1234567.png', '٣.png'])
    assert.equal(imageIndexOf(name), undefined, name);
});
