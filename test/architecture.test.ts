/** The tree in ARCHITECTURE.md is the tree on disk, in the words of the import table and of the files themselves. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { sourceMap } from '../scripts/source-map.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = await readFile(`${root}/ARCHITECTURE.md`, 'utf8');
const block = /## The map[\s\S]*?```\n([\s\S]*?)```/.exec(page)?.[1] ?? '';

test('ARCHITECTURE.md names every folder and file of src/, and nothing that is not there', async () => {
  const shown = /^src\/\n(?: .*\n)*/m.exec(block)?.[0];
  assert.equal(shown, await sourceMap(), 'run: npm run pages');
});

test('every other folder that ARCHITECTURE.md names exists', async () => {
  const top = new Set(await readdir(root));
  const others = [...block.matchAll(/^([\w.-]+)\/ /gm)].map((match) => match[1] ?? '');
  assert.ok(others.length > 4, 'the map shows the other folders');
  assert.deepEqual(
    others.filter((name) => !top.has(name)),
    [],
    'correct the map in ARCHITECTURE.md, below src/: nothing of that name is there',
  );
});

test('the index of the decisions names every page', async () => {
  const index = await readFile(`${root}/docs/decisions/README.md`, 'utf8');
  const named = [...index.matchAll(/\]\(([\w-]+\.md)\)/g)].map((match) => match[1] ?? '');
  const pages = (await readdir(`${root}/docs/decisions`)).filter((name) => name !== 'README.md');
  assert.deepEqual(named.toSorted(), pages.toSorted(), 'give each page its line in docs/decisions/README.md');
});
