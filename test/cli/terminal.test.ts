/** Bars on a terminal, plain lines elsewhere, and neither in the way of the other. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { excerpt, printable } from '../../src/lib/foreign-text.ts';
import { Terminal } from '../../src/cli/terminal.ts';

function open(isTTY: boolean) {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err') =>
    Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          written[name] += chunk.toString();
          done();
        },
      }),
      { isTTY, columns: 80 },
    );
  let nowMs = 0;
  const terminal = new Terminal({ stdout: sink('out'), stderr: sink('err'), nowMs: () => (nowMs += 100) });
  return { terminal, written };
}

// oxlint-disable-next-line no-control-regex
const ESCAPES = /(\u001b\[1A|\u001b\[2K|\r|\n)/;

/** What is left on the screen after the cursor movements that `Terminal` uses. */
function screen(written: string): string[] {
  const rows = [''];
  for (const part of written.split(ESCAPES)) {
    if (part === '\u001b[1A') rows.pop();
    else if (part === '\u001b[2K') rows[rows.length - 1] = '';
    else if (part === '\n') rows.push('');
    else if (part !== '\r') rows[rows.length - 1] += part;
  }
  return rows.slice(0, -1);
}

test('elsewhere than on a terminal progress is a plain line per quarter, without escapes', () => {
  const { terminal, written } = open(false);
  for (let step = 0; step <= 20; step += 1) terminal.progress('a', { label: '7', step, steps: 20, stage: 'denoise' });
  terminal.endProgress('a');
  assert.deepEqual(
    written.err.trim().split('\n'),
    [0, 5, 10, 15, 20].map((step) => `7: denoise, step ${step} of 20`),
  );
  assert.ok(!written.err.includes('\u001b'));
});

test('on a terminal each picture has one bar below the lines, and finished ones stay', () => {
  const { terminal, written } = open(true);
  terminal.progress('a', { label: 'first', step: 1, steps: 4, stage: 'denoise' });
  terminal.progress('b', { label: 'second', step: 2, steps: 4, stage: 'denoise' });
  terminal.line('a log line');
  terminal.progress('a', { label: 'first', step: 4, steps: 4, stage: 'decode' });
  terminal.endProgress('a');
  terminal.progress('b', { label: 'second', step: 3, steps: 4, stage: 'denoise' });
  const rows = screen(written.err);
  assert.equal(rows.length, 3, written.err);
  assert.equal(rows[0], 'a log line');
  assert.match(rows[1] ?? '', /^first {24}\[█{24}\] 4\/4 /);
  assert.match(rows[2] ?? '', /^second {23}\[█{18}░{6}\] 3\/4 /);
});

test('a bar is never wider than the terminal', () => {
  const { terminal, written } = open(true);
  terminal.progress('a', { label: 'x'.repeat(500), step: 1, steps: 1000, stage: 'denoise' });
  assert.ok(screen(written.err).every((row) => row.length < 80));
});

test('results go to standard output only', () => {
  const { terminal, written } = open(false);
  terminal.result('file:///x.png');
  assert.deepEqual(written, { out: 'file:///x.png\n', err: '' });
});

test('text from outside cannot move the cursor', () => {
  assert.equal(printable('a\u001b[2Jb\nc\u202e'), 'a\\u001b[2Jb\\u000ac\\u202e');
  assert.equal(excerpt('🦊'.repeat(50), 10), `${'🦊'.repeat(4)}…`);
  assert.equal(excerpt('short', 10), 'short');
});
