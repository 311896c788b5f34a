/** A reader that is slow, has stopped, has gone, or has no room: what is written never waits, never throws, and is bounded. */
import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { OutputStream } from '../../src/cli/output-stream.ts';

/** A stream whose reader takes a piece whenever `take` is called. */
function readBy(hand: { take?: () => void }, got: Buffer[] = []) {
  const stream = new Writable({
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, done) {
      hand.take = () => {
        delete hand.take;
        got.push(chunk);
        done();
      };
    },
  });
  return { stream, got };
}

function open(stream: Writable, maxQueuedBytes = 1000) {
  const leftOut: number[] = [];
  const failures: string[] = [];
  const output = new OutputStream(stream, {
    maxQueuedBytes,
    onLeftOut: (count) => {
      leftOut.push(count);
      return `[${count} missing]\n`;
    },
    onFailure: ({ message }) => failures.push(message),
  });
  return { output, leftOut, failures };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a flush waits for a slow reader as long as it goes on reading, and everything arrives in order', async () => {
  const hand: { take?: () => void } = {};
  const { stream, got } = readBy(hand);
  const { output, leftOut } = open(stream, 10_000_000);
  const text = Array.from({ length: 200_000 }, (_, index) => `${index} é🦊\n`).join('');
  output.write(text);
  const reading = setInterval(() => hand.take?.(), 5);
  // Far shorter than the whole reading takes, far longer than a piece.
  await output.flush(2000);
  clearInterval(reading);
  assert.ok(got.length > 20, 'the text was handed on in pieces');
  assert.equal(Buffer.concat(got).toString(), text);
  assert.deepEqual(leftOut, []);
});

test('a flush ends although nobody reads', async () => {
  const { stream } = readBy({});
  const { output, leftOut } = open(stream);
  output.write('a');
  output.write('b');
  await output.flush(60);
  assert.equal(leftOut.length, 1);
});

test('what a reader that has stopped does not take is dropped beyond the bound, counted, and noted where it is missing', async () => {
  const hand: { take?: () => void } = {};
  const { stream, got } = readBy(hand);
  const { output, leftOut } = open(stream, 1000);
  for (let line = 0; line < 100_000; line++) output.write(`${line} ${'x'.repeat(90)}\n`);
  for (let round = 0; round < 50; round++) {
    hand.take?.();
    await turn();
  }
  output.write('after\n');
  for (let round = 0; round < 5; round++) {
    hand.take?.();
    await turn();
  }
  const text = Buffer.concat(got).toString();
  const kept = text.split('\n').filter((line) => / x/.test(line)).length;
  assert.ok(kept >= 10 && kept <= 13, `${kept} lines were kept`);
  assert.match(text, new RegExp(`x\n\\[${100_000 - kept} missing\\]\nafter\n$`));
  assert.deepEqual(leftOut, [100_000 - kept]);
});

test('one text that is longer than the bound is written when nothing waits', async () => {
  const hand: { take?: () => void } = {};
  const { stream, got } = readBy(hand);
  const { output } = open(stream, 10);
  output.write('x'.repeat(1000));
  hand.take?.();
  await output.flush(1000);
  assert.equal(Buffer.concat(got).length, 1000);
});

test('a write that fails is told and does not throw', async () => {
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('no space left'), { code: 'ENOSPC' }));
    },
  });
  const { output, failures } = open(stream);
  output.write('a');
  await turn();
  output.write('b');
  await output.flush(60_000);
  assert.deepEqual(failures, ['no space left']);
});

test('a reader that has gone is no failure, and nothing is kept for it', async () => {
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    },
  });
  const { output, failures, leftOut } = open(stream);
  output.write('a');
  await turn();
  output.write('b');
  await output.flush(60_000);
  assert.deepEqual([failures, leftOut], [[], []]);
});
