/** The value of `--models`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { modelList } from '../../src/config/options/model-list.ts';
import { loadWithSecrets } from './load-with-secrets.ts';

test('models have commas between them, and may have a name before an equals sign', () => {
  assert.deepEqual(modelList.parseText('owner/name, photo=/models/x.safetensors ,~/y'), [
    { place: 'owner/name' },
    { alias: 'photo', place: '/models/x.safetensors' },
    { place: '~/y' },
  ]);
  assert.deepEqual(modelList.parseText('/models/a=b,v1.5:fast=x=y'), [
    { place: '/models/a=b' },
    { alias: 'v1.5:fast', place: 'x=y' },
  ]);
});

test('gaps, strange names, one name for two models and too many models are refused with the reason', () => {
  const reasons = ['a,,b', '', 'a=', '=b', 'a b=c', 'x=a,x=b', Array(51).fill('a').join()].map((text) => {
    assert.equal(modelList.parseText(text), undefined, text);
    return modelList.reasonAgainst?.(text);
  });
  const missing = 'a model is missing beside a comma or a name';
  const signs = 'a name before "=" may have letters, digits and the signs _ . : -';
  assert.deepEqual(reasons, [
    missing,
    missing,
    missing,
    signs,
    signs,
    'it gives one name to two models',
    'it names 51 models, and 50 are allowed',
  ]);
});

test('--models replaces --model, and does not join it', async () => {
  const load = (flags: Record<string, string>) => loadWithSecrets({ command: 'run', flags, environment: {} });
  assert.deepEqual((await load({ models: 'photo=a/b' })).models, [{ alias: 'photo', place: 'a/b' }]);
  await assert.rejects(load({ models: 'a/b', model: 'c/d' }), { code: 'conflicting_options' });
  await assert.rejects(load({ models: 'a/b,,c' }), { code: 'invalid_option', message: /a model is missing/ });
});
