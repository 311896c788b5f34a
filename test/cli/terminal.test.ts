/** Bars on a terminal, plain lines elsewhere, and neither in the way of the other. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { excerpt, printable } from '../../src/lib/foreign-text.ts';
import { downloadBar } from '../../src/cli/download-bar.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { LONE_SURROGATES, OBEYED } from '../lib/obeyed-characters.ts';

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

const ODD = [...OBEYED, ...LONE_SURROGATES];

test('no obeyed character passes through any door, even when nobody escaped it before', () => {
  for (const odd of ODD) {
    const { terminal, written } = open(false);
    const text = `a${odd}b`;
    const escaped = `a\\u${odd.charCodeAt(0).toString(16).padStart(4, '0')}b`;
    terminal.result(text);
    terminal.result([text, text]);
    terminal.line(text);
    terminal.line([text, 'c']);
    terminal.progress('key', { label: text, step: 1, steps: 2, stage: text });
    assert.equal(written.out, `${escaped}\n${escaped}\n${escaped}\n`);
    assert.equal(written.err, `${escaped}\n${escaped}\nc\n${escaped}: ${escaped}, step 1 of 2\n`);
    const bars = open(true);
    bars.terminal.progress('key', { label: text, step: 1, steps: 2, stage: text });
    assert.ok(bars.written.err.startsWith(escaped) && bars.written.err.trimEnd().endsWith(escaped), bars.written.err);
  }
});

test('JSON is the same value after the door', () => {
  const { terminal, written } = open(false);
  const value = { [ODD.join('')]: ODD, text: 'é 🦊 "x"' };
  terminal.result(JSON.stringify(value));
  assert.deepEqual(JSON.parse(written.out), value);
});

test('a line for people is bounded, a result is whole', () => {
  const { terminal, written } = open(false);
  terminal.line('x'.repeat(1e6));
  terminal.result('y'.repeat(1e6));
  assert.ok(written.err.length < 5000);
  assert.equal(written.out.length, 1e6 + 1);
});

test('a download says megabytes, on a terminal and without one', () => {
  for (const isTerminal of [true, false]) {
    const { terminal, written } = open(isTerminal);
    const bar = downloadBar(terminal);
    bar.onProgress('owner/name', 1_200_000_000, 4_300_000_000);
    bar.onProgress('owner/small', 200_000, 300_000);
    assert.match(written.err, isTerminal ? / 1200\/4300 MB \d/ : /^owner\/name: 1200 of 4300 MB\n/);
    assert.match(written.err, isTerminal ? / 0\.2\/0\.3 MB / : /owner\/small: 0\.2 of 0\.3 MB\n/);
    assert.doesNotMatch(written.err, /step/);
  }
});
