/** Friction 20 and the pages that were missing, in a clone. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Place } from './places.ts';
import { Shell } from './shell.ts';

export function testContributing(place: Place): void {
  const shell = new Shell(place, '..');

  test('18: npm ci says nothing about engines', async () => {
    await shell.type('npm ci --dry-run', { never: /EBADENGINE|npm warn/i });
  });

  test('18: a clone keeps what Node compiled, also where the Node of the machine is too old and starts the pinned one', () => {
    const kept = readdirSync(join(place.program, 'node_modules/.cache/text2img'), { recursive: true });
    assert.ok(kept.length > 50, `${kept.length} files`);
  });

  test('20: npm test with a file runs that file', async () => {
    await shell.type('npm test -- test/lib/duration-text.test.ts', { prints: /^ℹ tests 1$/m });
    await shell.type('npm test -- test/no-such-file.test.ts', {
      code: 2,
      says: /there is no test file at "test\/no-such-file\.test\.ts"/,
    });
  });

  test('20: a scheduler without vectors names the program that makes them', async () => {
    rmSync(join(place.program, 'test/schedulers/vectors/PNDMScheduler.json'));
    await shell.type('npm test -- test/schedulers/diffusers-vectors.test.ts', {
      code: 1,
      prints: /no vectors of PNDMScheduler[\s\S]*?reference\/\w+\.py/,
    });
  });

  test('20 and smaller: the files for the editor are there, and a page each for systemd and for a Python team', () => {
    for (const name of ['.editorconfig', '.vscode/launch.json', 'docs/systemd.md', 'docs/switching-from-python.md'])
      assert.ok(readFileSync(join(place.program, name), 'utf8').length > 0, name);
  });
}
