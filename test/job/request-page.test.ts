/** docs/requests.md and the table of request fields say the same. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { requestPage } from '../../scripts/request-page.ts';

test('docs/requests.md is what `npx node scripts/write-request-page.ts` writes', async () => {
  const page = await readFile(new URL('../../docs/requests.md', import.meta.url), 'utf8');
  // assert.equal would print both pages.
  assert.ok(page === requestPage(), 'docs/requests.md is not what the table says; run: npm run pages');
});
