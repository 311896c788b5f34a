/** The portable graphs are the same bytes from version to version: a compile cache finds its entries by them, and golden images depend on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { committedDigests, portableDigests } from './portable-graphs.ts';

test('every portable graph has the bytes that it had', async () => {
  assert.deepEqual(
    await portableDigests(),
    committedDigests(),
    'after an intended change run: npx node test/networks/portable-graphs.ts',
  );
});
