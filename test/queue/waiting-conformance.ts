/** What every prompt queue must leave behind when it was waited for: nothing. */
import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { suite, test } from 'node:test';
import type { QueueFactory } from './prompt-queue-conformance.ts';

const LONG_MS = 60_000;
const WAITS = 300;

export function waitingConformance(name: string, create: QueueFactory): void {
  suite(`${name} leaves nothing behind`, () => {
    test('an idle worker’s waits and statements leave no listener on its signal', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const { signal } = new AbortController();
      for (let wait = 0; wait < WAITS; wait++) await queue.untilChanged({ timeoutMs: 1, signal });
      assert.equal(getEventListeners(signal, 'abort').length, 0);
      await queue.enqueue([{ text: 'x' }]);
      for (let turn = 0; turn < 10; turn++) {
        await queue.reap({ signal });
        await queue.drainState({ signal });
        for (const claimed of await queue.claim({ limit: 1, signal })) await queue.release(claimed);
        await queue.outbox.claimDue({ limit: 1, leaseMs: LONG_MS, signal });
      }
      assert.equal(getEventListeners(signal, 'abort').length, 0);
    });

    test('a wait that is broken off ends at once, and the next one too', async (t) => {
      const queue = await (await create(t)).open({ leaseMs: LONG_MS });
      const stop = new AbortController();
      const waiting = queue.untilChanged({ timeoutMs: LONG_MS * 10, signal: stop.signal });
      stop.abort();
      await waiting;
      await queue.untilChanged({ timeoutMs: LONG_MS * 10, signal: stop.signal });
      assert.equal(getEventListeners(stop.signal, 'abort').length, 0);
    });
  });
}
