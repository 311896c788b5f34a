/** Google's client library makes Node warn of leaks that are none. An operator would find these warnings between the lines of the log. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { silentLogger } from '../../../src/observability/logger.ts';
import { GcsImageStore } from '../../../src/storage/gcs/gcs-image-store.ts';
import { GcsServer } from '../../servers/gcs-server.ts';

test('storing and reading images of every size warns of nothing', async (t) => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): void => void warnings.push(message);
  process.on('warning', onWarning);
  t.after(() => process.off('warning', onWarning));
  await using bucket = await GcsServer.start({ bucket: 'pictures' });
  const store = new GcsImageStore({
    bucket: 'pictures',
    logger: silentLogger,
    credentialsFile: undefined,
    apiEndpoint: bucket.url,
  });
  for (const sizeBytes of [30_000, 300_000, 5_000_000]) {
    const png = randomBytes(sizeBytes);
    const name = `generated/${sizeBytes}.png`;
    const metadata = { runId: 'r', docKey: `k${sizeBytes}`, seed: 0, model: 'instant' };
    await store.put({ name, png, metadata }, { mayReplace: async () => true });
    const image = (await store.open(name, { maxBytes: 10_000_000 })) ?? assert.fail();
    const pieces: Uint8Array[] = [];
    for await (const piece of image.pieces()) pieces.push(piece);
    assert.ok(Buffer.concat(pieces).equals(png));
  }
  // Node warns in the next turn.
  await setImmediate();
  assert.deepEqual(warnings, []);
});
