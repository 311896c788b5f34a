/** How loud the log is about a prompt that fails: by whose fault it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from '../../src/observability/logger.ts';
import { parseStrictly } from '../observability/strict-json.ts';
import { makePlace, work } from './place.ts';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly prompt_id?: string;
  readonly worker?: string;
  readonly model?: string;
  readonly duration_ms?: number;
  readonly error?: { readonly code: string; readonly message: string; readonly stack?: string };
}

test('a refused prompt is a warning with its code and sentence and no stack; a failing engine is an error', async (t) => {
  const place = await makePlace(t);
  const lines: Line[] = [];
  const logger = createLogger({
    level: 'INFO',
    format: 'json',
    writeLine: (line) => lines.push(parseStrictly(line) as Line),
  });
  await place.queue.enqueue([
    { _id: 'a', text: 'x', height: '512' },
    { _id: 'b', text: '[fail]' },
  ]);
  await work(place, { logger, maxAttempts: 1 });
  const failed = lines.filter(({ message }) => message === 'prompt failed');
  const of = (id: string): Line | undefined => failed.find(({ prompt_id: found }) => found === id);
  assert.equal(of('a')?.level, 'WARNING');
  assert.equal(of('a')?.worker, 'test');
  assert.equal(of('a')?.error?.code, 'invalid_parameter');
  assert.match(of('a')?.error?.message ?? '', /^"height" /);
  assert.ok(!('stack' in (of('a')?.error ?? {})));
  for (const id of ['a', 'b']) {
    assert.equal(of(id)?.model, 'instant');
    assert.ok(Number.isInteger(of(id)?.duration_ms));
  }
  assert.equal(of('b')?.level, 'ERROR');
  assert.equal(of('b')?.error?.code, 'attempts_exhausted');
  assert.ok(!('stack' in (of('b')?.error ?? {})));
});
