/** Parameters of a call on another thread are not collected while it runs. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { statusFunction } from '../../src/runtime/native-call.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

type Callback = (error: unknown, status: number) => void;

test('a buffer stays until the call on another thread has ended, and no longer', async () => {
  const callbacks: Callback[] = [];
  // Like koffi, it keeps nothing but the callback.
  const native = Object.assign(() => 0, {
    async: (...parameters: readonly unknown[]) => void callbacks.push(parameters.at(-1) as Callback),
  });
  const call = statusFunction<[buffer: Uint8Array], number>(native);
  const start = (): [Promise<number>, WeakRef<Uint8Array>] => {
    const buffer = new Uint8Array(1024);
    return [call.later(buffer), new WeakRef(buffer)];
  };
  const [status, buffer] = start();
  for (let round = 0; round < 3; round++) {
    await sleep(1);
    collectGarbage();
  }
  assert.ok(buffer.deref() !== undefined, 'it is there during the call');
  callbacks.splice(0).forEach((callback) => callback(null, 7));
  assert.equal(await status, 7);
  await sleep(1);
  collectGarbage();
  assert.equal(buffer.deref(), undefined, 'it is collected after the call');
});

test('a call that is refused at once keeps nothing', async () => {
  const refusing = Object.assign(() => 0, {
    async: () => {
      throw new Error('too many calls');
    },
  });
  const call = statusFunction<[buffer: Uint8Array], number>(refusing);
  const start = async (): Promise<WeakRef<Uint8Array>> => {
    const buffer = new Uint8Array(1024);
    await assert.rejects(call.later(buffer), /too many calls/);
    return new WeakRef(buffer);
  };
  const buffer = await start();
  await sleep(1);
  collectGarbage();
  assert.equal(buffer.deref(), undefined);
});
