/** Friction 3 and the files that `enqueue` takes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Place } from './places.ts';
import { jsonLines, Shell, SMALL_IMAGES } from './shell.ts';

const SLIPS = '{"text":"a cat","num_inference_step":4,"negativePrompt":"x","sampler_name":"Euler a"}';

export function testFields(place: Place): void {
  const shell = new Shell(place, 'fields', SMALL_IMAGES);

  test('3: enqueue refuses a misspelled field with the one that was meant; other documents get one entry in job.warnings', async () => {
    const refused = await shell.type(`echo '${SLIPS}' | text2img enqueue -`, {
      code: 3,
      says: /\[invalid_document\]\n$/,
    });
    assert.ok(refused.stderr.includes('"num_inference_step". Did you mean "num_inference_steps"?'), refused.stderr);
    const kept = await shell.type(`echo '${SLIPS}' | text2img enqueue - --allow-unknown-fields`, {
      says: /WARNING.*negativePrompt.*negative_prompt.*sampler_name.*scheduler/,
    });
    await shell.type('text2img run', { says: /WARNING.*negativePrompt/ });
    const [job = {}] = jsonLines((await shell.type(`text2img jobs show ${kept.stdout.trim()} --json`)).stdout, 'show');
    const { warnings } = job as { readonly warnings: readonly string[] };
    assert.equal(warnings.length, 1, warnings.join('\n'));
    for (const name of ['negativePrompt', 'sampler_name']) assert.ok(warnings[0]?.includes(name), warnings[0]);
  });

  test('smaller: enqueue takes lines of text and a JSON array', async () => {
    shell.write('lines.txt', 'a red circle\ntwo cats\n');
    shell.write('array.json', '[{"text": "a fox", "seed": 7}, "a dog"]\n');
    for (const name of ['lines.txt', 'array.json'])
      await shell.type(`text2img enqueue ${name}`, { prints: /^\w+\n\w+\n$/ });
    await shell.type('text2img jobs list --status pending', { prints: /a red circle[\s\S]*$/, says: /4 pending/ });
  });
}
