/** What the logs look like, where they go, and what never gets into them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Text2ImgError } from '../../src/errors/text2img-error.ts';
import { createLogger, type LogLevel } from '../../src/observability/logger.ts';
import { VERSION } from '../../src/version.ts';
import { parseStrictly } from './strict-json.ts';

const now = (): Date => new Date('2026-01-02T03:04:05.678Z');

function collect(level: LogLevel, logFile?: string) {
  const lines: string[] = [];
  return { lines, logger: createLogger({ level, logFile, now, writeLine: (line) => lines.push(line) }) };
}

test('a line for people has time, level, message and fields', () => {
  const { lines, logger } = collect('INFO');
  logger.warning('the prompt was cut', { prompt_id: '7', cut: 'red sky', steps: 20, missing: undefined });
  assert.deepEqual(lines, ['03:04:05 WARNING the prompt was cut  prompt_id=7 cut="red sky" steps=20']);
});

test('lines below the level are not written', () => {
  const { lines, logger } = collect('ERROR');
  logger.debug('a');
  logger.info('b');
  logger.warning('c');
  logger.error('d');
  logger.critical('e');
  assert.deepEqual(
    lines.map((line) => line.split(' ').slice(1).join(' ').trim()),
    ['ERROR   d', 'CRITICAL e'],
  );
});

test('the log file holds JSON lines and its folder is made', () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-log-'));
  const file = join(folder, 'deep', 'er', 'log.jsonl');
  const { logger } = collect('DEBUG', file);
  logger.debug('first', { n: 1n, when: now() });
  logger.critical('second', { error: new Error('boom') });
  logger[Symbol.dispose]();
  logger[Symbol.dispose]();
  const records = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => parseStrictly(line) as Record<string, string>);
  rmSync(folder, { recursive: true });
  assert.deepEqual(records[0], {
    level: 'DEBUG',
    time: '2026-01-02T03:04:05.678Z',
    pid: process.pid,
    host: hostname(),
    version: VERSION,
    n: '1',
    when: '2026-01-02T03:04:05.678Z',
    message: 'first',
  });
  assert.equal(records[1]?.['level'], 'CRITICAL');
  const { stack, ...error } = (records[1]?.['error'] ?? {}) as unknown as Record<string, string>;
  assert.deepEqual(error, { code: 'internal', message: 'unexpected error: boom' });
  assert.match(stack ?? '', /^Error: boom\n/);
});

test('a log file that cannot be opened is an invalid option that quotes its path', () => {
  assert.throws(() => collect('INFO', '/dev/null/log.jsonl'), {
    code: 'invalid_option',
    message: /"\/dev\/null\/log\.jsonl"/,
  });
});

test('secrets are redacted in fields, nested fields, messages and the log file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-log-'));
  const file = join(folder, 'log.jsonl');
  const { lines, logger } = collect('INFO', file);
  logger.info('connected to mongodb://ada:hunter2@db/prompts', {
    webhook_secret: 'hunter2',
    hf_token: 'hunter2',
    nested: [{ password: 'hunter2', uri: 'mongodb+srv://ada:hunter2@db' }],
    error: new Error('cannot reach https://hunter2@host/'),
    maxTokens: 77,
  });
  logger[Symbol.dispose]();
  const everything = `${lines.join('\n')}\n${readFileSync(file, 'utf8')}`;
  rmSync(folder, { recursive: true });
  assert.doesNotMatch(everything, /hunter2/);
  assert.match(everything, /maxTokens=77/);
  assert.match(everything, /mongodb:\/\/\[redacted\]@db\/prompts/);
});

test('a newline in a message cannot fake a second line, a stack trace is indented', () => {
  const { lines, logger } = collect('INFO');
  logger.error('a\n03:04:05 INFO    all is well', { error: { message: 'c', stack: 'Error: a\n    at b' } });
  assert.deepEqual(lines, [
    '03:04:05 ERROR   a\\u000a03:04:05 INFO    all is well  reason=c',
    '    Error: a',
    '        at b',
  ]);
});

test('a field that contains itself is cut, not followed for ever', () => {
  const { lines, logger } = collect('INFO');
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  logger.info('loop', { loop });
  assert.match(lines[0] ?? '', /…/);
});

test('the parser of these tests refuses an object that has one name twice, at any depth, and takes every other', () => {
  for (const text of ['{"a":1,"a":2}', '[{"b":{"c":1,"\\u0063":2}}]', '{"a":"{","a" : 2}'])
    assert.throws(() => parseStrictly(text), /stands twice/);
  for (const value of [{ a: { b: 1 }, b: ['a', 'a', { a: '"a":1,"a":2' }] }, [], 'x', { 'a\\"': 1, a: '\\' }])
    assert.deepEqual(parseStrictly(JSON.stringify(value)), value);
});

test('an error is one object in JSON: code and message, and a stack only where it is a bug', () => {
  const lines: string[] = [];
  using logger = createLogger({ level: 'INFO', format: 'json', writeLine: (line) => lines.push(line) });
  const trouble = new Text2ImgError('disk_full', 'no space is left.', { cause: new Error('ENOSPC') });
  logger.error('prompt failed', { error: trouble, err: trouble, message: 'x', version: 'y', pid: 1, list: [trouble] });
  logger.error('prompt failed', { error: Text2ImgError.from(new TypeError('boom')) });
  const [known, bug] = lines.map((line) => parseStrictly(line) as Record<string, unknown>);
  const error = { code: 'disk_full', message: 'no space is left.' };
  assert.deepEqual(known, {
    level: 'ERROR',
    time: known?.['time'],
    pid: process.pid,
    host: hostname(),
    version: VERSION,
    error,
    err: error,
    message_: 'x',
    version_: 'y',
    pid_: 1,
    list: [error],
    message: 'prompt failed',
  });
  const { code, stack } = (bug?.['error'] ?? {}) as Record<string, string>;
  assert.equal(code, 'internal');
  assert.match(stack ?? '', /^TypeError: boom\n/);
});

test('people read an error as its code and its sentence, without a stack unless it is a bug', () => {
  const { lines, logger } = collect('INFO');
  logger.error('prompt failed', { error: new Text2ImgError('disk_full', 'no space is left.'), prompt_id: 7 });
  assert.deepEqual(lines, ['03:04:05 ERROR   prompt failed  prompt_id=7 code=disk_full reason="no space is left."']);
  logger.error('prompt failed', { error: new TypeError('boom') });
  assert.match(
    lines.slice(1).join('\n'),
    /code=internal reason="unexpected error: boom"\n {4}TypeError: boom\n {8}at /,
  );
});

test('JSON lines go to standard error and to the file alike, whole however long', () => {
  const folder = mkdtempSync(join(tmpdir(), 'text2img-log-'));
  const logFile = join(folder, 'log.jsonl');
  const lines: string[] = [];
  {
    using logger = createLogger({ level: 'INFO', format: 'json', logFile, writeLine: (line) => lines.push(line) });
    logger.info('many', Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`f${index}`, 'x'.repeat(300)])));
  }
  const written = readFileSync(logFile, 'utf8');
  rmSync(folder, { recursive: true });
  assert.equal(written, `${lines[0]}\n`);
  assert.equal((parseStrictly(written) as Record<string, string>)['f39'], 'x'.repeat(300));
});

test('a trouble that lasts is one line, then one a minute with the number left out; each code and each message without one is a trouble', () => {
  let nowMs = 0;
  const lines: string[] = [];
  const clock = (): Date => new Date(nowMs);
  const logger = createLogger({ level: 'INFO', now: clock, writeLine: (line) => lines.push(line.slice(9)) });
  const full = new Text2ImgError('disk_full', 'no space is left.');
  for (; nowMs < 150_000; nowMs += 1000) {
    logger.repeated('a lease could not be renewed', { error: full });
    logger.repeated('a write failed', { error: new Text2ImgError('disk_full', 'no space is left elsewhere.') });
  }
  assert.deepEqual(lines.splice(0), [
    'WARNING a lease could not be renewed  code=disk_full reason="no space is left."',
    'WARNING a lease could not be renewed  left_out=119 code=disk_full reason="no space is left."',
    'WARNING a lease could not be renewed  left_out=119 code=disk_full reason="no space is left."',
  ]);
  logger.repeated('a request failed', { error: { message: 'timeout' } });
  logger.repeated('a request failed', { error: { message: 'reset' } });
  logger.repeated('another', { error: new Text2ImgError('queue_failed', 'gone.') });
  assert.equal(lines.splice(0).length, 2);
  nowMs += 60_000;
  logger.error('nothing is claimed', { error: full });
  logger.repeated('a lease could not be renewed', { error: full });
  assert.deepEqual(lines.length, 1, 'an error speaks for its code, too');
});

test('what is left out of a lasting trouble is at DEBUG', () => {
  const { lines, logger } = collect('DEBUG');
  for (let round = 0; round < 2; round++) logger.repeated('a request failed', { error: { message: 'timeout' } });
  assert.deepEqual(
    lines.map((line) => line.slice(9, 16).trim()),
    ['WARNING', 'DEBUG'],
  );
});
