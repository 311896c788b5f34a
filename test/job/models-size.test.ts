/** A model whose own size is over the operator's limit, and a request that names none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelFacts } from '../../src/job/model-facts.ts';
import { DEFAULT_LIMITS } from '../../src/job/limits.ts';
import { resolveRequest } from '../../src/job/resolve-request.ts';
import { MODEL_FACTS } from './a-request.ts';

const model: ModelFacts = { ...MODEL_FACTS, defaultWidthPx: 4096, defaultHeightPx: 2048 };

test('the model is at fault when nobody asked for a size, and a size that was asked for is drawn', () => {
  const options = { defaults: {}, model, limits: DEFAULT_LIMITS, seed: 1 };
  assert.throws(() => resolveRequest({ prompt: 'x' }, options), {
    code: 'unsupported_config',
    message: /4096×2048 pixels, which is more than the 4194304 allowed; ask for a width and a height/,
  });
  assert.equal(resolveRequest({ prompt: 'x', widthPx: 512, heightPx: 512 }, options).widthPx, 512);
  const bySize = { ...options, defaults: { widthPx: 256, heightPx: 256 } };
  assert.equal(resolveRequest({ prompt: 'x' }, bySize).heightPx, 256);
  assert.throws(() => resolveRequest({ prompt: 'x', heightPx: 4096 }, options), { code: 'invalid_parameter' });
});
