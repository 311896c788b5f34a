/** The tree in ARCHITECTURE.md is the tree on disk: a folder or source file that one of them lacks is reported. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths named by the first code block under "## The map": two spaces a level, a comment after two spaces or more. */
async function mappedPaths(): Promise<string[]> {
  const page = await readFile(join(root, 'ARCHITECTURE.md'), 'utf8');
  const block = /## The map[\s\S]*?```\n([\s\S]*?)```/.exec(page)?.[1];
  assert.ok(block !== undefined, 'ARCHITECTURE.md has a code block under "## The map"');
  const parents: string[] = [];
  const paths: string[] = [];
  for (const line of block.split('\n').filter((text) => text.trim() !== '')) {
    const depth = (line.length - line.trimStart().length) / 2;
    const name = line.trim().split(/\s/)[0] ?? '';
    parents.length = depth;
    paths.push([...parents, name.replace(/\/$/, '')].join('/'));
    if (name.endsWith('/')) parents.push(name.slice(0, -1));
  }
  return paths.sort();
}

async function pathsOnDisk(): Promise<string[]> {
  const entries = await readdir(join(root, 'src'), { recursive: true, withFileTypes: true });
  const paths = entries.map((entry) => join(entry.parentPath, entry.name).slice(root.length));
  return ['src', ...paths].sort();
}

test('ARCHITECTURE.md names every folder and file of src/, and nothing that is not there', async () => {
  const mapped = (await mappedPaths()).filter((path) => path === 'src' || path.startsWith('src/'));
  assert.deepEqual(mapped, await pathsOnDisk());
});

test('every other folder that ARCHITECTURE.md names exists', async () => {
  const top = new Set(await readdir(root));
  const others = (await mappedPaths()).map((path) => path.split('/')[0]).filter((name) => name !== 'src');
  assert.deepEqual(
    others.filter((name) => name === undefined || !top.has(name)),
    [],
  );
});
