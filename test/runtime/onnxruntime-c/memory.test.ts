/** Memory of the C API: nothing is left over by runs, by networks that open and close, by runs that fail, or by tensors that stay on the device. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { NO_PEAKS, openingWithin } from '../memory-of-opening.ts';
import { grownBytes } from './grown-bytes.ts';
import { NO_C_API } from './no-c-api.ts';

const place = await mkdtemp(join(tmpdir(), 'text2img-c-memory-'));
after(() => rm(place, { recursive: true, force: true }));

/** A run, a failure or an opening that kept its megabyte of tensors or weights would leave 1000 MB. */
const MOST_BYTES = 50e6;

suite('memory of the C API', { skip: NO_C_API === false ? NO_PEAKS : NO_C_API }, () => {
  for (const what of ['runs', 'kept outputs', 'failures', 'cancelled runs', 'openings', 'captured runs'] as const)
    test(`1,000 ${what} leave nothing behind`, async () => {
      const grown = await grownBytes(what, 1000);
      assert.ok(grown < MOST_BYTES, `${grown} bytes more`);
    });

  test('too little memory for the weights is engine_out_of_memory', async (t) => {
    const told = await openingWithin(30e6, { folder: join(place, 'little'), dtype: 'F32', runtime: 'onnxruntime-c' });
    if (told === undefined) return t.skip('NOT TESTED: too little memory; prlimit does not work here');
    assert.equal(told, 'engine_out_of_memory');
  });
});
