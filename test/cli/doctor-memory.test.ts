/** What `doctor` says about the memory that a model needs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memoryFinding } from '../../src/cli/doctor-memory.ts';

const XL = {
  needs: [
    { network: 'unet', weightBytes: 10e9, activationBytes: 1e9 },
    { network: 'text_encoder', weightBytes: 3e9, activationBytes: 0 },
    { network: 'vae', weightBytes: 0.2e9, activationBytes: 5.8e9 },
  ],
  widthPx: 1024,
  heightPx: 1024,
};
const NEED = 'images of 1024×1024 on the CPU need up to 20.0 GB, or 11.0 GB with --low-memory on';

test('a model that fits is said to fit, with the need and what is free', () => {
  assert.deepEqual(memoryFinding(XL, 24e9), {
    name: 'model memory',
    status: 'ok',
    detail: `${NEED}; 24.0 GB are free`,
  });
});

test('a model that fits in parts only is said to take turns', () => {
  const { status, detail } = memoryFinding(XL, 12e9);
  assert.equal(status, 'ok');
  assert.equal(detail, `${NEED}; 12.0 GB are free, so one network at a time is in memory (--low-memory auto)`);
  assert.match(memoryFinding(XL, 10.5e9).detail, /may be decoded in tiles or refused$/);
});

test('a model whose largest network does not fit is a problem, with both numbers and advice', () => {
  const { status, detail, advice } = memoryFinding(XL, 8e9);
  assert.equal(status, 'problem');
  assert.equal(detail, `${NEED}; 8.0 GB are free; the weights of unet alone have 10.0 GB`);
  assert.match(advice ?? '', /--model/);
});

test('where nobody knows what is free, the need alone is said', () => {
  assert.deepEqual(
    [memoryFinding(XL, undefined).status, memoryFinding(XL, undefined).detail],
    ['ok', `${NEED}; this system does not say how much is free`],
  );
});
