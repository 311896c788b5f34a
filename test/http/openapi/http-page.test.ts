/** docs/http-api.md is generated. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { httpPage } from '../../../scripts/http-page.ts';

test('docs/http-api.md is what `npx node scripts/write-http-page.ts` writes', async () => {
  const page = await readFile(new URL('../../../docs/http-api.md', import.meta.url), 'utf8');
  // assert.equal would print both pages.
  assert.ok(page === httpPage(), 'docs/http-api.md is not what the records say; run: npm run pages');
});
