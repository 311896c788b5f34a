/** A log file that is renamed, removed, on a full disk or no file at all: lines go on, what is missing is counted, and nothing waits. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createLogger } from '../../src/observability/logger.ts';

const folder = mkdtempSync(join(tmpdir(), 'text2img-log-file-'));
after(() => rmSync(folder, { recursive: true }));

/** A clock that a test moves. */
function open(logFile: string) {
  const clock = { ms: Date.parse('2026-01-02T03:04:05Z') };
  const lines: string[] = [];
  const logger = createLogger({
    level: 'INFO',
    logFile,
    now: () => new Date(clock.ms),
    writeLine: (line) => lines.push(line),
  });
  return { logger, lines, clock };
}

const messagesOf = (path: string): unknown[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { message: unknown }).message);

test('a file that was renamed is followed by a new one, and one that was removed too', () => {
  const path = join(folder, 'rotated');
  const { logger } = open(path);
  logger.info('one');
  renameSync(path, `${path}.1`);
  logger.info('two');
  unlinkSync(path);
  logger.info('three');
  logger[Symbol.dispose]();
  logger.info('after the end');
  assert.deepEqual([messagesOf(`${path}.1`), messagesOf(path)], [['one'], ['three']]);
});

test('where no new file can be made the renamed one is written on, and the next try is a minute later', () => {
  const path = join(folder, 'kept', 'log');
  const { logger, clock } = open(path);
  logger.info('one');
  renameSync(join(folder, 'kept'), join(folder, 'moved'));
  logger.info('two');
  mkdirSync(join(folder, 'kept'));
  logger.info('three');
  clock.ms += 61_000;
  logger.info('four');
  logger[Symbol.dispose]();
  assert.deepEqual([messagesOf(join(folder, 'moved', 'log')), messagesOf(path)], [['one', 'two', 'three'], ['four']]);
});

test('a full disk is said once, tried each minute, and the lines that are missing are counted', {
  skip: !existsSync('/dev/full'),
}, () => {
  const path = join(folder, 'full');
  symlinkSync('/dev/full', path);
  const { logger, lines, clock } = open(path);
  for (let line = 0; line < 5; line++) {
    logger.info(`lost ${line}`);
    clock.ms += 61_000;
  }
  assert.equal(lines.filter((line) => /WARNING the log file cannot be written/.test(line)).length, 1, lines.join('\n'));
  assert.match(lines.join('\n'), /ENOSPC/);
  unlinkSync(path);
  logger.info('found');
  logger[Symbol.dispose]();
  const [first, second] = readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => JSON.parse(line || '{}') as { message?: string; count?: number });
  assert.equal(first?.message, 'found');
  // The five lines and the one that says that they are missing.
  assert.deepEqual([second?.message, second?.count], ['the log file is written again; lines are missing in it', 6]);
});

test('a pipe that nobody reads is refused at once, a folder too', () => {
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  for (const path of [pipe, folder])
    assert.throws(() => open(path), { code: 'invalid_option', message: /--log-file .*cannot be written/ });
});

test('file and folder are never wider than 0640 and 0750, narrower where the umask says so; what exists keeps its mode', () => {
  const modeOf = (path: string): number => statSync(path).mode & 0o777;
  for (const [umask, fileMode, folderMode] of [
    [0o000, 0o640, 0o750],
    [0o022, 0o640, 0o750],
    [0o077, 0o600, 0o700],
  ] as const) {
    const path = join(folder, `umask-${umask}`, 'log');
    const before = process.umask(umask);
    open(path).logger[Symbol.dispose]();
    process.umask(before);
    assert.deepEqual([modeOf(path), modeOf(join(folder, `umask-${umask}`))], [fileMode, folderMode]);
  }
  const wide = join(folder, 'umask-18', 'log');
  chmodSync(wide, 0o666);
  open(wide).logger[Symbol.dispose]();
  assert.equal(modeOf(wide), 0o666);
});
