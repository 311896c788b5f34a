/** `health` is read without the package that reads all other commands, and to the same effect. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArguments } from '../../src/cli/program.ts';
import { HEALTH_OPTIONS, readFlags } from '../../src/cli/quick-health.ts';
import { OPTIONS, optionsOf } from '../../src/config/options.ts';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';

const WORDS = [
  '--heartbeat-file',
  '--max-age',
  '--json',
  '--no-json',
  '--log-level',
  '--max-age=9',
  '--json=x',
  '--nonsense',
  '--',
  '-h',
];
const VALUES = ['/tmp/beat', '60', '', 'a=b', '-1'];

/** Every sentence of up to three words. */
function* sentences(): Generator<string[]> {
  const words = [...WORDS, ...VALUES];
  yield [];
  for (const one of words) {
    yield [one];
    for (const two of words) {
      yield [one, two];
      for (const three of words) yield [one, two, three];
    }
  }
}

test('what is read quickly is what commander reads, and what commander refuses is left to it', async () => {
  let read = 0;
  for (const sentence of sentences()) {
    const flags = readFlags(['health', ...sentence]);
    if (flags === undefined) continue;
    read++;
    assert.deepEqual({ command: 'health', flags }, await parseArguments(['health', ...sentence]), sentence.join(' '));
  }
  assert.ok(read > 50, `${read} were read`);
});

test('the plain forms are read, and no other command is', () => {
  assert.deepEqual(readFlags(['health', '--heartbeat-file', '/b', '--max-age=60', '--json']), {
    heartbeatFile: '/b',
    maxAge: '60',
    json: true,
  });
  assert.deepEqual(readFlags(['health']), {});
  assert.equal(readFlags(['doctor', '--json']), undefined);
  assert.equal(readFlags([]), undefined);
});

test('its options are those of the table', () => {
  assert.deepEqual(Object.keys(HEALTH_OPTIONS).toSorted(), [...optionsOf('health')].toSorted());
  for (const [name, spec] of Object.entries(HEALTH_OPTIONS)) assert.equal(spec, OPTIONS[name as keyof typeof OPTIONS]);
});

test('a mistake is refused in our own words', async () => {
  await assert.rejects(parseArguments(['health', '--nonsense']), (error) => {
    assert.ok(error instanceof Text2ImgError);
    assert.equal(error.code, 'unknown_option');
    return true;
  });
});
