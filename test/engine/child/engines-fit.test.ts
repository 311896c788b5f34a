/** How many engines the memory holds, and how many networks each of them keeps in memory. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EnginesQuestion, residencyOfAll } from '../../../src/engine/child/engines-fit.ts';

/** Stable Diffusion 1.5 in float32, roughly. With the process an engine computes in 2.1 GB, or 1.6 in turns. */
const NEEDS = [
  { network: 'unet', weightBytes: 3.4e9, activationBytes: 0.5e9 },
  { network: 'vae', weightBytes: 0.3e9, activationBytes: 1.5e9 },
  { network: 'text_encoder', weightBytes: 0.5e9, activationBytes: 0 },
];

function ask(changes: Partial<EnginesQuestion>): string {
  const { lowMemory, note } = residencyOfAll({
    engines: 2,
    lowMemory: 'off',
    needs: NEEDS,
    hasMappedWeights: true,
    freeBytes: 9e9,
    ...changes,
  });
  return note === undefined ? lowMemory : `${lowMemory}: ${note}`;
}

const refuses = (changes: Partial<EnginesQuestion>, sentence: string): void =>
  assert.throws(() => ask(changes), { code: 'invalid_option', message: sentence });

test('weights in the compile cache are counted once, what is computed in each engine', () => {
  assert.equal(ask({ freeBytes: 8.41e9 }), 'off');
  refuses(
    { freeBytes: 8.39e9 },
    '--engines 2 needs 8.4 GB of memory (4.2 GB for the weights, which the engines share, and 2.1 GB for each engine), and 8.4 GB are free. The largest number is 1.',
  );
  assert.equal(ask({ engines: 7, freeBytes: 19e9 }), 'off');
  refuses(
    { engines: 16, freeBytes: 19e9 },
    '--engines 16 needs 37.8 GB of memory (4.2 GB for the weights, which the engines share, and 2.1 GB for each engine), and 19.0 GB are free. The largest number is 7.',
  );
});

test('without the cache each engine has its own weights', () => {
  assert.equal(ask({ hasMappedWeights: false, freeBytes: 12.61e9 }), 'off');
  refuses(
    { hasMappedWeights: false, engines: 4, freeBytes: 13e9 },
    '--engines 4 needs 25.2 GB of memory (6.3 GB for each engine), and 13.0 GB are free. The largest number is 2.',
  );
});

test('the networks take turns in all engines, or in none', () => {
  assert.equal(ask({ lowMemory: 'auto', freeBytes: 9e9 }), 'off');
  assert.equal(
    ask({ lowMemory: 'auto', freeBytes: 7e9 }),
    'on: Each engine has one network at a time in memory (--low-memory auto). With all of them 2 engines need up to 8.4 GB, and 7.0 GB are free.',
  );
  assert.equal(ask({ lowMemory: 'on', freeBytes: 7e9 }), 'on');
  refuses(
    { lowMemory: 'off', freeBytes: 7e9 },
    '--engines 2 needs 8.4 GB of memory (4.2 GB for the weights, which the engines share, and 2.1 GB for each engine), and 7.0 GB are free. The largest number is 1.',
  );
  refuses(
    { lowMemory: 'auto', engines: 3, freeBytes: 7e9 },
    '--engines 3 needs 8.2 GB of memory (3.4 GB for the weights, which the engines share, and 1.6 GB for each engine), and 7.0 GB are free. The largest number is 2.',
  );
});

test('one engine is never refused here, and nothing is where nobody knows what is free', () => {
  assert.equal(ask({ engines: 1, lowMemory: 'auto', freeBytes: 1 }), 'auto');
  assert.equal(ask({ engines: 99, lowMemory: 'auto', freeBytes: undefined }), 'auto');
  refuses(
    { freeBytes: 1e9 },
    '--engines 2 needs 8.4 GB of memory (4.2 GB for the weights, which the engines share, and 2.1 GB for each engine), and 1.0 GB are free. The largest number is 1.',
  );
});
