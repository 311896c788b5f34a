/** The worker does for each error code what the table of codes says, and nothing else says it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ERROR_CODES, type ErrorCode, type ErrorConsequence } from '../../src/errors/error-codes.ts';
import { makePlace, QUICK_PATIENCE, show, work } from './place.ts';

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

/** What becomes of a job that the engine fails once, and then would generate. */
const EXPECTED: Readonly<Record<ErrorConsequence, { status: string; attempts: number; events: readonly string[] }>> = {
  fail: { status: 'error', attempts: 1, events: ['failed'] },
  retry: { status: 'completed', attempts: 2, events: ['retried', 'completed'] },
  'retry-alone': { status: 'completed', attempts: 2, events: ['retried', 'completed'] },
  'give-back': { status: 'completed', attempts: 1, events: ['released', 'completed'] },
};

// Apart from each other: trouble that begins while jobs wait for their next attempt would give them this one back.
for (const [consequence, { status, attempts, events }] of Object.entries(EXPECTED)) {
  test(`a job that fails with a code of consequence "${consequence}" ends as ${status}, with ${attempts} attempts`, async (t) => {
    const codes = CODES.filter((code) => ERROR_CODES[code].consequence === consequence);
    assert.ok(codes.length > 0);
    const place = await makePlace(t);
    await place.queue.enqueue(
      codes.map((code) => ({ _id: code, text: `[once ${code} ${join(place.folder, `${code}.failed`)}]` })),
    );
    const { events: told } = await work(place, { batchSize: 1, troublePatience: QUICK_PATIENCE });
    for (const code of codes) {
      const found = await show(place, code);
      const types = told.filter(({ id }) => id === code).map(({ type }) => type);
      assert.deepEqual(
        [found.status, found.attempts, types.filter((type) => type !== 'claimed' && type !== 'progress')],
        [status, attempts, events],
        code,
      );
      if (status === 'error') assert.match(found.error ?? '', new RegExp(`^${code}: `));
    }
  });
}
