import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceFor, type DoctorTopic } from '../../src/cli/doctor-advice.ts';
import type { Mode } from '../../src/config/mode.ts';
import { ERROR_CODES, type ErrorCode } from '../../src/errors/error-codes.ts';

const MODES = ['embedded', 'production'] as const satisfies readonly Mode['kind'][];
const TOPICS = ['settings', 'model', 'vae', 'queue', 'prompts', 'store'] as const satisfies readonly DoctorTopic[];
const CODES = Object.keys(ERROR_CODES) as ErrorCode[];
const OPTIONS: readonly ErrorCode[] = ['invalid_option', 'conflicting_options', 'internal'];

/** What a topic can meet, by the table of codes: a code that is added there needs its advice here. */
const REACHED: Readonly<Record<DoctorTopic, readonly ErrorCode[]>> = {
  settings: OPTIONS,
  model: [...CODES.filter((code) => ERROR_CODES[code].fault === 'model'), ...OPTIONS, 'disk_full', 'store_unwritable'],
  vae: [...CODES.filter((code) => ERROR_CODES[code].fault === 'model'), ...OPTIONS, 'disk_full', 'store_unwritable'],
  queue: [...CODES.filter((code) => code.startsWith('queue_')), ...OPTIONS, 'disk_full'],
  prompts: [...CODES.filter((code) => code.startsWith('queue_')), ...OPTIONS, 'disk_full', 'invalid_document'],
  store: [...CODES.filter((code) => code.startsWith('store_')), ...OPTIONS, 'disk_full'],
};

/** Options that one mode does not have. */
const FOREIGN: Readonly<Record<Mode['kind'], RegExp>> = {
  embedded: /--mongo-uri|--gcs-|--collection|GOOGLE|validator|bucket|MongoDB/,
  production: /queue\.sqlite/,
};

/** A full disk is the embedded queue's or the cache's; a bucket and a database never name one. */
const OF_DISKS: readonly ErrorCode[] = ['disk_full'];

test('each code that doctor can meet has an advice in each mode', () => {
  for (const topic of TOPICS)
    for (const code of REACHED[topic])
      for (const mode of MODES) assert.ok(adviceFor(topic, code, mode), `${topic} ${code} ${mode}`);
});

test('an advice names nothing that the mode does not have', () => {
  for (const topic of TOPICS)
    for (const code of REACHED[topic])
      for (const mode of MODES) {
        const advice = adviceFor(topic, code, mode) ?? '';
        assert.doesNotMatch(advice, FOREIGN[mode], `${topic} ${code} ${mode}`);
        if (mode === 'production' && !OF_DISKS.includes(code))
          assert.doesNotMatch(advice, /--data-dir|free some space/, `${topic} ${code}`);
      }
});

test('where the options contradict each other there is no advice for a mode', () => {
  assert.equal(adviceFor('queue', 'queue_failed', undefined), undefined);
  assert.match(adviceFor('queue', 'conflicting_options', undefined) ?? '', /options/);
});
