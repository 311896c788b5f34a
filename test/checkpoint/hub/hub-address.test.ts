/** Names and addresses of models on the hub, as people type and copy them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseHubAddress } from '../../../src/checkpoint/hub/hub-address.ts';
import { hubName, parseHubId } from '../../../src/checkpoint/hub/hub-id.ts';
import { Text2ImgError } from '../../../src/errors/text2img-error.ts';

const HUB = 'https://huggingface.co';

test('a name is a repository, or one file of it, with or without a revision', () => {
  for (const [text, expected] of [
    ['owner/name', { id: 'owner/name', revision: 'main' }],
    ['owner/name@v1', { id: 'owner/name', revision: 'v1' }],
    ['owner/name/x.safetensors', { id: 'owner/name', revision: 'main', file: 'x.safetensors' }],
    ['owner/name/a b/X (1).SFT@refs/pr/2', { id: 'owner/name', revision: 'refs/pr/2', file: 'a b/X (1).SFT' }],
    ['owner/name/x.ckpt', { id: 'owner/name', revision: 'main', file: 'x.ckpt' }],
    [
      'runwayml/stable-diffusion-v1-5/v1-5-pruned.safetensors',
      { id: 'stable-diffusion-v1-5/stable-diffusion-v1-5', revision: 'main', file: 'v1-5-pruned.safetensors' },
    ],
  ] as const)
    assert.deepEqual(parseHubId(text), expected, text);
});

test('other texts are no names of the hub', () => {
  for (const text of [
    'owner/name/folder',
    'owner/name/../x.safetensors',
    'owner/name//x.safetensors',
    'owner/name/a\\b.safetensors',
    'models/x.safetensors',
    './models/sd/x.safetensors',
    '/models/sd/x.safetensors',
    'owner/name/x\0.safetensors',
  ])
    assert.equal(parseHubId(text), undefined, text);
});

test('a name is said as it was given', () => {
  assert.equal(hubName({ id: 'owner/name' }), 'owner/name');
  assert.equal(hubName({ id: 'owner/name', file: 'a/x.safetensors' }), 'owner/name/a/x.safetensors');
});

test('addresses of the hub are the names in them', () => {
  for (const [text, expected] of [
    [`${HUB}/owner/name`, { id: 'owner/name', revision: 'main' }],
    [`${HUB}/owner/name/`, { id: 'owner/name', revision: 'main' }],
    [`${HUB}/owner/name/tree/v1`, { id: 'owner/name', revision: 'v1' }],
    [`${HUB}/owner/name/blob/main/x.safetensors`, { id: 'owner/name', revision: 'main', file: 'x.safetensors' }],
    [
      `${HUB}/owner/name/resolve/refs%2Fpr%2F1/a/x%20y.safetensors?download=true`,
      { id: 'owner/name', revision: 'refs/pr/1', file: 'a/x y.safetensors' },
    ],
    ['https://hf.co/owner/name', { id: 'owner/name', revision: 'main' }],
  ] as const)
    assert.deepEqual(parseHubAddress(text, HUB), expected, text);
  assert.deepEqual(parseHubAddress('http://mirror:8080/hub/owner/name', 'http://mirror:8080/hub'), {
    id: 'owner/name',
    revision: 'main',
  });
});

test('other addresses are refused with what is allowed', () => {
  for (const [text, sentence] of [
    ['https://civitai.com/api/download/models/1', /another host than the hub's, huggingface\.co\. Download the file/],
    ['https://huggingface.co.evil.example/owner/name', /another host/],
    ['https://huggingface.co:444/owner/name', /another host/],
    [`${HUB}/datasets/owner/name`, /no address of a model; it must be like/],
    [`${HUB}/owner`, /no address of a model/],
    [`${HUB}/owner/name/discussions/1`, /no address of a model/],
    [`${HUB}/owner/name/resolve/main/..%2F..%2Fx.safetensors`, /no address of a model/],
    ['https://', /another host/],
  ] as const)
    assert.throws(
      () => parseHubAddress(text, HUB),
      (error) => {
        assert.ok(error instanceof Text2ImgError);
        assert.equal(error.code, 'invalid_option');
        assert.match(error.message, sentence);
        return true;
      },
    );
});
