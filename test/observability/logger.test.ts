/** What the logs look like, where they go, and what never gets into them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLogger, type LogLevel } from '../../src/observability/logger.ts';

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
    .map((line) => JSON.parse(line) as Record<string, string>);
  rmSync(folder, { recursive: true });
  assert.deepEqual(records[0], {
    level: 'DEBUG',
    time: '2026-01-02T03:04:05.678Z',
    n: '1',
    when: '2026-01-02T03:04:05.678Z',
    message: 'first',
  });
  assert.equal(records[1]?.['level'], 'CRITICAL');
  assert.match(records[1]?.['error'] ?? '', /^Error: boom\n/);
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
  logger.error('a\n03:04:05 INFO    all is well', { stack: 'Error: a\n    at b' });
  assert.deepEqual(lines, ['03:04:05 ERROR   a\\u000a03:04:05 INFO    all is well', '    Error: a', '        at b']);
});

test('a field that contains itself is cut, not followed for ever', () => {
  const { lines, logger } = collect('INFO');
  const loop: Record<string, unknown> = {};
  loop['self'] = loop;
  logger.info('loop', { loop });
  assert.match(lines[0] ?? '', /…/);
});
