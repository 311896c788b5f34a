/**
 * A listener that is added is removed. Signals live as long as the program, so each one that stays behind is memory for ever: 20,000 idle waits
 * once left 20,000. The suites of the queues count them; this finds the file that forgets.
 */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';

/** These listen until their process ends. */
const EVER_LASTING = /^(?:cli\/main\.ts|engine\/child\/.*)$/;

const source = fileURLToPath(new URL('../src', import.meta.url));

test('each file that adds listeners to signals or to the process removes as many', async () => {
  const files = (await readdir(source, { recursive: true })).filter((file) => file.endsWith('.ts'));
  let added = 0;
  for (const file of files) {
    const text = await readFile(join(source, file), 'utf8');
    const count = (pattern: RegExp): number => text.match(pattern)?.length ?? 0;
    const [adds, removes] = [count(/\.addEventListener\(/g), count(/\.removeEventListener\(/g)];
    assert.ok(removes >= adds, `${file} adds ${adds} listeners and removes ${removes}`);
    added += adds;
    if (EVER_LASTING.test(file.replaceAll('\\', '/'))) continue;
    const [on, off] = [count(/\bprocess\.(?:on|once)\(/g), count(/\bprocess\.off\(/g)];
    assert.ok(off >= on, `${file} listens to the process ${on} times and stops ${off} times`);
  }
  assert.ok(added > 3, 'the pattern still finds them');
});
