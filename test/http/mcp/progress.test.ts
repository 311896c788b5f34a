/** Progress notifications: only for who asks, and each value above the one before. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { progressOf } from '../../../src/http/mcp/progress.ts';

type Request = Parameters<typeof progressOf>[0];
type Sent = Parameters<Request['notify']>[0];

function requestWith(token: string | undefined, sent: Sent[]): Request {
  const notify = async (notification: Sent): Promise<void> => void sent.push(notification);
  // The other members of the SDK's context are not read.
  return { notify, ...(token === undefined ? {} : { _meta: { progressToken: token } }) } as unknown as Request;
}

test('a client that sends no token gets no progress', () => {
  assert.equal(progressOf(requestWith(undefined, [])), undefined);
});

test('steps that do not advance are not sent, and the first message has the id', () => {
  const sent: Sent[] = [];
  const tell = progressOf(requestWith('t', sent));
  assert.ok(tell !== undefined);
  tell({ type: 'status', id: 'x', status: 'pending', position: 3 });
  tell({ type: 'status', id: 'x', status: 'pending', position: 2 });
  tell({ type: 'progress', id: 'x', step: 0, steps: 4 });
  for (const step of [1, 1, 3, 2, 4]) tell({ type: 'progress', id: 'x', step, steps: 4 });
  tell({ type: 'preview', id: 'x', png: new Uint8Array(1), step: 4, steps: 4 });
  const told = sent.map(({ params }) => params);
  assert.deepEqual(
    told.map((params) => params?.['progress']),
    [0, 1, 3, 4],
  );
  assert.deepEqual(told[0], { progressToken: 't', progress: 0, message: 'prompt x is pending, jobs before it: 3' });
  assert.deepEqual(told[3], { progressToken: 't', progress: 4, total: 4, message: 'prompt x: step 4 of 4' });
});
