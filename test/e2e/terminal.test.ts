/** The program on a real terminal: a pseudo terminal of Python's, at several widths. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ESCAPES, NO_TERMINAL as skip, onTerminalOf } from './pseudo-terminal.ts';
import { cleanEnvironment, launcher, runCli, temporaryFolder } from './run-cli.ts';

interface Screen {
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

function onTerminal(args: readonly string[], cwd: string, { columns = 80, environment = {} }: Screen = {}): string {
  const [python = '', ...before] = onTerminalOf(columns);
  const { stdout, stderr, status } = spawnSync(python, [...before, process.execPath, launcher, ...args], {
    cwd,
    env: cleanEnvironment({ TERM: 'xterm', ...environment }),
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

const SMALL = ['--width=64', '--height=64', '--num-inference-steps=60', '--device=cpu'];
const GENERATE = ['generate', '--prompt=a red circle', '--seed=7', ...SMALL];

/** Each text that stood in a row, without what moves the cursor. Log lines may be longer than a row. */
function bars(written: string): string[] {
  return written
    .replaceAll(ESCAPES, '')
    .split(/[\r\n]+/)
    .filter((row) => /^image .*\d+\/60/.test(row));
}

test('a bar has rate and time left, stays whole and narrower than the terminal, and the last line says what was made', {
  skip,
}, () => {
  for (const columns of [80, 60, 40, 0]) {
    const folder = temporaryFolder();
    const written = onTerminal(GENERATE, folder, { columns, environment: columns === 0 ? { COLUMNS: '50' } : {} });
    const rows = bars(written);
    const most = columns === 0 ? 50 : columns;
    assert.ok(rows.length > 2 && rows.every((row) => row.length < most), rows.join('\n'));
    assert.ok(
      rows.some((row) => /, [\d.]+ (?:it\/s|s\/it), ETA [\d.]+ s$/.test(row)),
      rows.join('\n'),
    );
    assert.match(rows.at(-1) ?? '', /60\/60, [\d.]+ (?:it\/s|s\/it), [\d.]+ s$/);
    assert.match(written, /text2img-7\.png {2}\(seed 7\)\r\n1 image in \. \([\d.]+ s\)\r\n$/);
    assert.ok(existsSync(join(folder, 'text2img-7.png')));
  }
});

test('no colour is written, with and without NO_COLOR, and TERM=dumb gets no escape at all', { skip }, () => {
  for (const environment of [{}, { NO_COLOR: '1' }, { TERM: 'dumb' }] as Readonly<Record<string, string>>[]) {
    const written = onTerminal(GENERATE, temporaryFolder(), { environment });
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(written, environment['TERM'] === 'dumb' ? /\u001b/ : /\u001b\[[\d;]*m/);
  }
});

test('piped, each image has one line with its path, and the last line counts images, failed jobs and time', async () => {
  const folder = temporaryFolder();
  const prompts = ['a red circle', 'a blue square', 'too large'];
  const sizes = [64, 64, 256];
  for (const [index, text] of prompts.entries()) {
    const size = [`--width=${sizes[index]}`, `--height=${sizes[index]}`];
    await runCli({
      args: ['enqueue', '--prompt', text, '--num-inference-steps=2', '--num-images=2', ...size],
      cwd: folder,
    });
  }
  const { code, stdout, stderr } = await runCli({ args: ['run', '--max-pixels=4096', '--device=cpu'], cwd: folder });
  assert.equal(code, 0, stderr);
  assert.equal(stdout.trimEnd().split('\n').length, 4, stdout);
  assert.equal(stderr.match(/: step /g)?.length, 2, 'each job that was generated has one line');
  assert.match(stderr, /\n4 images in text2img-data\/generated \([\d.]+ s\), 2 jobs completed, 1 job failed\n$/);

  const empty = await runCli({ args: ['run'], cwd: temporaryFolder() });
  assert.match(
    empty.stderr,
    /\n0 images \([\d.]+ s\), no job was pending\nAdd one: text2img enqueue --prompt "a red circle"\n$/,
  );
});
