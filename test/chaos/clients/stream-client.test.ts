import assert from 'node:assert/strict';
import { test } from 'node:test';
import { streamEnd } from './stream-client.ts';

const PARTIAL = 'event: image_generation.partial_image\ndata: {"partial_image_index":0}\n\n';
const COMPLETED = 'event: image_generation.completed\ndata: {"b64_json":"x"}\n\n';

test('the last event of a stream is its end, and signs of life are none', () => {
  assert.deepEqual(streamEnd(`: id\n\n${PARTIAL}: waiting\n\n${COMPLETED}`), { last: 'completed', partials: [0] });
  assert.deepEqual(streamEnd(`: id\n\nevent: error\ndata: {"error":{}}\n\n`), { last: 'error', partials: [] });
});

test('a stream that just ends, or breaks within an event, has no end', () => {
  assert.deepEqual(streamEnd(': id\n\n'), { last: 'nothing', partials: [] });
  assert.deepEqual(streamEnd(`${PARTIAL}${COMPLETED.slice(0, -2)}`), { last: 'nothing', partials: [0] });
});
