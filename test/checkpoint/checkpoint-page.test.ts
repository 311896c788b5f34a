/** docs/checkpoints.md says what the code does, and what it says about known checkpoints is in the tests. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { checkpointPage, seenAs } from '../../scripts/checkpoint-page.ts';
import { KNOWN_CHECKPOINTS } from '../../scripts/known-checkpoints.ts';
import { FAMILIES } from '../../src/pipelines/registry.ts';
import { SCHEDULERS } from '../../src/schedulers/registry.ts';
import { waitsFor } from '../pipelines/stable-diffusion/golden-waiting.ts';
import { KNOWN_CHECKPOINTS as FULL_SIZE } from './single-file/known-checkpoints.ts';

const text = await readFile(new URL('../../docs/checkpoints.md', import.meta.url), 'utf8');

test('docs/checkpoints.md is what `npx node scripts/write-checkpoint-page.ts` writes', () => {
  // assert.equal would print both pages.
  assert.ok(text === checkpointPage(), 'docs/checkpoints.md is not what the tables say; run: npm run pages');
});

test('the page has a row for each pipeline class and each scheduler', () => {
  const named = [...FAMILIES.flatMap(({ classes }) => classes), ...SCHEDULERS.map(({ className }) => className)];
  assert.deepEqual(
    named.filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
});

test('each checkpoint that people name is seen in the tests that the page names, or is called not seen', () => {
  const families = FAMILIES.map(({ name }): string => name);
  for (const known of KNOWN_CHECKPOINTS) {
    const { name, family, tiny = [], scheduler = [] } = known;
    assert.ok(families.includes(family), name);
    for (const folder of [...tiny, ...scheduler]) {
      assert.ok(existsSync(new URL(`../${folder}/expected-1.png`, import.meta.url)), `${name}: ${folder}`);
      if (!folder.startsWith('golden/')) continue;
      const { request } = JSON.parse(readFileSync(new URL(`../${folder}/case.json`, import.meta.url), 'utf8')) as {
        request: Record<string, unknown>;
      };
      assert.equal(waitsFor(request), undefined, `${name}: ${folder} waits for its scheduler`);
    }
    for (const model of known.fullSize ?? []) assert.ok(Object.hasOwn(FULL_SIZE, model), `${name}: ${model}`);
    assert.ok(text.includes(`| ${name} | \`${family}\` | ${seenAs(known)} |`), name);
  }
});
