/** Bars on a terminal, plain lines elsewhere, and neither in the way of the other. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { excerpt, printable } from '../../src/lib/foreign-text.ts';
import { downloadBar } from '../../src/cli/download-bar.ts';
import { Terminal } from '../../src/cli/terminal.ts';
import { LONE_SURROGATES, OBEYED } from '../lib/obeyed-characters.ts';

interface Screen {
  readonly columns?: number;
  readonly rows?: number;
  readonly environment?: Readonly<Record<string, string>>;
  readonly tickMs?: number;
}

function open(isTTY: boolean, { columns = 80, rows = 24, environment = {}, tickMs = 100 }: Screen = {}) {
  const written = { out: '', err: '' };
  const sink = (name: 'out' | 'err') =>
    Object.assign(
      new Writable({
        write(chunk: Buffer, _encoding, done) {
          written[name] += chunk.toString();
          done();
        },
      }),
      { isTTY, columns, rows },
    );
  let nowMs = 0;
  const terminal = new Terminal({
    stdout: sink('out'),
    stderr: sink('err'),
    nowMs: () => (nowMs += tickMs),
    environment,
  });
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

test('elsewhere than on a terminal an image has one line, when it is complete, without escapes', () => {
  for (const isDumb of [false, true]) {
    const { terminal, written } = open(isDumb, isDumb ? { environment: { TERM: 'dumb' } } : {});
    for (let step = 0; step <= 20; step += 1) terminal.progress('a', { label: '7', step, steps: 20, stage: 'denoise' });
    terminal.endProgress('a');
    assert.equal(written.err, '7: step 20 of 20, 10 it/s, 2.0 s\n');
    terminal.progress('b', { label: '8', step: 3, steps: 20 });
    terminal.endProgress('b');
    assert.equal(written.err.split('\n').length, 2, 'what did not come to its end has no line');
  }
});

test('elsewhere long work has a line every ten seconds, with rate and time left', () => {
  const { terminal, written } = open(false, { tickMs: 4000 });
  for (let step = 0; step <= 8; step += 1) terminal.progress('a', { label: '7', step, steps: 8 });
  terminal.endProgress('a');
  assert.deepEqual(written.err.trimEnd().split('\n'), [
    '7: step 3 of 8, 4.0 s/it, ETA 20 s',
    '7: step 6 of 8, 4.0 s/it, ETA 8.0 s',
    '7: step 8 of 8, 4.0 s/it, 32 s',
  ]);
});

test('what follows the last step, and a wait between two, do not change the rate', () => {
  const { terminal, written } = open(true, { tickMs: 1000 });
  terminal.progress('a', { label: '7', step: 0, steps: 4 });
  terminal.progress('a', { label: '7', step: 2, steps: 4 });
  const rate = (): string | undefined =>
    screen(written.err)
      .at(-1)
      ?.match(/[\d.]+ (?:s\/it|it\/s)/)?.[0];
  const before = rate();
  assert.ok(before !== undefined);
  for (let lines = 0; lines < 5; lines++) terminal.line('a log line');
  assert.equal(rate(), before);
  terminal.progress('a', { label: '7', step: 4, steps: 4, stage: 'decode' });
  const atTheEnd = rate();
  for (let lines = 0; lines < 5; lines++) terminal.line('a log line');
  terminal.endProgress('a');
  assert.equal(rate(), atTheEnd);
});

test('on a terminal each image has one bar below the lines, and finished ones stay', () => {
  const { terminal, written } = open(true);
  terminal.progress('a', { label: 'first', step: 0, steps: 4, stage: 'encode' });
  terminal.progress('b', { label: 'second', step: 1, steps: 4, stage: 'denoise' });
  terminal.line('a log line');
  terminal.progress('a', { label: 'first', step: 4, steps: 4, stage: 'decode' });
  terminal.endProgress('a');
  terminal.progress('b', { label: 'second', step: 3, steps: 4, stage: 'denoise' });
  const rows = screen(written.err);
  assert.equal(rows.length, 3, written.err);
  assert.equal(rows[0], 'a log line');
  assert.match(rows[1] ?? '', /^first {20}\[█{12}\] 4\/4, \d\.\d it\/s, \d\.\d s$/);
  assert.match(rows[2] ?? '', /^second {19}\[█{9}░{3}\] 3\/4, \d\.\d it\/s, ETA \d\.\d s$/);
});

const LABELS = [
  'x'.repeat(500),
  '6b07020e60e1a2b3c4d5e6f7',
  '東京'.repeat(40),
  '🦊'.repeat(40),
  '\u001b[31m'.repeat(9),
];

test('at every width a row fits, and no fact in it is cut', () => {
  const facts =
    /^(?:[^,]* )?(?:\[[█░]{8,24}\] )?(?: *\d+\/1000(?:, \d+(?:\.\d)? (?:it\/s|s\/it))?(?:, ETA (?:\d+(?:\.\d)? s|\d+ min(?: \d+ s)?|\d+ h(?: \d+ min)?))?|\d+ %)?$/;
  for (let columns = 1; columns <= 130; columns++)
    for (const label of LABELS)
      for (const step of [1, 7, 999]) {
        const { terminal, written } = open(true, { columns, tickMs: 1300 });
        terminal.progress('a', { label, step: 0, steps: 1000 });
        terminal.progress('a', { label, step, steps: 1000 });
        const row = screen(written.err).at(-1) ?? '';
        const wide = (row.match(/[東京🦊]/gu) ?? []).length;
        const narrow = row.replaceAll(/[東京🦊]/gu, '').length;
        assert.ok(narrow + 2 * wide < Math.max(columns, 2), `${columns}: ${row}`);
        assert.match(row, facts, `${columns}: ${row}`);
        if (columns >= 60) assert.match(row, /it\/s, ETA |s\/it, ETA /, `${columns}: ${row}`);
        if (columns >= 80) assert.match(row, /\[[█░]+\]/, `${columns}: ${row}`);
      }
});

test('COLUMNS narrows the terminal, and serves where the terminal does not know its width', () => {
  const widest = (columns: number, stated: string | undefined): number => {
    const { terminal, written } = open(true, { columns, environment: stated === undefined ? {} : { COLUMNS: stated } });
    terminal.progress('a', { label: 'x'.repeat(500), step: 0, steps: 9 });
    return screen(written.err)[0]?.length ?? 0;
  };
  const own = widest(120, undefined);
  assert.ok(widest(120, '40') < 40);
  assert.ok(widest(0, '40') < 40);
  assert.equal(widest(0, undefined), widest(80, undefined));
  for (const odd of ['400', '0', '-1', 'x', '']) assert.equal(widest(120, odd), own, odd);
});

test('there are never more bars than rows of the screen', () => {
  const { terminal, written } = open(true, { rows: 6 });
  for (let key = 0; key < 30; key++) terminal.progress(String(key), { label: String(key), step: 0, steps: 9 });
  assert.equal(screen(written.err).length, 4);
});

test('no text has a colour', () => {
  const { terminal, written } = open(true);
  terminal.progress('a', { label: 'a', step: 0, steps: 4 });
  terminal.line('x');
  terminal.result('y');
  terminal.endProgress('a');
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(written.err + written.out, /\u001b\[[\d;]*m/);
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
    terminal.progress('key', { label: text, step: 2, steps: 2, stage: text });
    terminal.endProgress('key');
    assert.ok(written.err.startsWith(`${escaped}\n${escaped}\nc\n${escaped}: step 2 of 2`), written.err);
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

test('a download says megabytes, their rate and the time left, on a terminal and without one', () => {
  for (const isTerminal of [true, false]) {
    const { terminal, written } = open(isTerminal, { tickMs: 11_000 });
    const bar = downloadBar(terminal);
    bar.onProgress('owner/name', 1_200_000_000, 4_300_000_000);
    bar.onProgress('owner/name', 1_222_000_000, 4_300_000_000);
    bar.onProgress('owner/small', 200_000, 300_000);
    bar.onProgress('owner/small', 300_000, 300_000);
    bar.onEnd('owner/small');
    assert.match(
      written.err,
      isTerminal
        ? / 1222\/4300 MB, \d\.\d MB\/s, ETA \d+ h \d+ min\n/
        : /^owner\/name: 1222 of 4300 MB, 2\.0 MB\/s, ETA 25 min 39 s\n/,
    );
    assert.match(written.err, isTerminal ? / 0\.3\/0\.3 MB, / : /owner\/small: 0\.3 of 0\.3 MB, 0\.0 MB\/s, 11 s\n$/);
    assert.doesNotMatch(written.err, /step|it\/s/);
  }
});

test('where the log on standard error is JSON, nothing else is written there: no progress, and lines become entries of the log', () => {
  const texts: string[] = [];
  const sink = new Writable({ write: (chunk, _, done) => (texts.push(String(chunk)), done()) });
  let nowMs = 0;
  const terminal = new Terminal({ stdout: sink, stderr: sink, nowMs: () => (nowMs += 100_000) });
  const logged: string[] = [];
  terminal.speakJson((line) => logged.push(line));
  for (let step = 0; step <= 4; step++) terminal.progress('a', { label: '7', step, steps: 4, stage: 'denoise' });
  terminal.endProgress('a');
  terminal.line(['one', 'two']);
  assert.deepEqual([texts, logged], [[], ['one', 'two']]);
  terminal.jsonLine('{}');
  assert.deepEqual(texts, ['{}\n']);
});

test('people read commands as they type them; JSON and the log keep one form', () => {
  const advice = 'no model; "text2img models pull a/b" downloads it';
  const typed = 'no model; "npx text2img models pull a/b" downloads it';
  const { terminal, written } = open(false, { environment: { npm_lifecycle_script: "'text2img'" } });
  terminal.line(advice);
  terminal.resultForPeople([advice, advice]);
  terminal.result(JSON.stringify({ advice }));
  terminal.jsonLine(advice);
  const logged: string[] = [];
  terminal.speakJson((line) => logged.push(line));
  terminal.line(advice);
  assert.equal(written.err, `${typed}\n${advice}\n`);
  assert.equal(written.out, `${typed}\n${typed}\n${JSON.stringify({ advice })}\n`);
  assert.deepEqual(logged, [advice]);
});
