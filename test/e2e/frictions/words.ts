/** Frictions 1, 8 and 18: the command itself, wrong words, the first minute. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PACKAGE } from '../run-cli.ts';
import type { Place } from './places.ts';
import { Shell, SMALL_IMAGES } from './shell.ts';

export function testWords(place: Place): void {
  const shell = new Shell(place, 'words', SMALL_IMAGES);

  test('1: the command is ours wherever it is typed, and no name of a foreign package is published', async () => {
    assert.notEqual(PACKAGE.name, 'text2img', 'this name belongs to somebody else on the registry');
    assert.equal(PACKAGE.private, true);
    const prints = new RegExp(`^${PACKAGE.version.replaceAll('.', '\\.')}\n$`);
    for (const line of ['text2img --version', 'npx text2img --version', 'npx --no-install text2img --version'])
      await shell.type(line, { prints });
    await shell.type('text2img models list', { says: /^0 models in \S+\n$/ });
  });

  test('8: a wrong word names the nearest, and a group alone prints its help', async () => {
    const wrong = [
      ['generat', 'text2img generate'],
      ['jobs lst', 'text2img jobs list'],
      ['run --wach', '--watch'],
      ['generate x --step 4', '--steps'],
      ['jobs list --status eror', 'error'],
      ['jobs list --status failed', 'error'],
      ['generate x --dtype fp16', 'float16'],
      ['generate x --device GPU', 'cuda'],
      ['generate x --sampler "DPM++ 2M Karra"', 'DPM\\+\\+ 2M Karras', 3],
    ] as const;
    for (const [words, meant, code = 2] of wrong) {
      const { stderr } = await shell.type(`text2img ${words}`, {
        code,
        says: /\[unknown_option|invalid_option|unknown_scheduler\]\n$/,
      });
      assert.match(stderr, new RegExp(`Did you mean "?${meant}"?\\?`));
    }
    await shell.type('text2img help jobs list', { prints: /^Usage: text2img jobs list /, says: /^$/ });
    for (const group of ['jobs', 'webhooks', 'models', 'setup']) {
      const help = await shell.type(`text2img ${group}`, { code: 2 });
      assert.match(`${help.stdout}${help.stderr}`, /^Usage: .*\n[\s\S]*\nCommands:\n[\s\S]*\nExamples:\n/);
    }
  });

  test('18: the first image names no missing library, and the last line says where it is and how long it took', async () => {
    const { stderr } = await shell.type('text2img generate "a red circle" -o 18/', {
      says: /\n1 image in 18 \([\d.]+ s\)\n$/,
      never: /OrtSessionOptions|shared library/,
    });
    if (stderr.includes('device=cpu')) assert.match(stderr, /reason="no GPU, generating on the CPU"/);
  });

  test('smaller: looking makes nothing, an empty prompt is refused at once, a folder is no model of the hub, help has groups', async () => {
    const folder = new Shell(place, 'looking');
    for (const line of ['jobs list', 'webhooks list', 'models list', 'doctor']) await folder.type(`text2img ${line}`);
    await folder.type('ls', { prints: /^$/ });
    await folder.type('text2img generate --prompt ""', {
      code: 3,
      says: /--prompt "".*\[invalid_parameter\]\n$/,
      never: /loading the model/,
    });
    await folder.type('text2img models show .', { code: 2, says: /"\." is a folder.*text2img doctor --model \./ });
    const { stdout } = await folder.type('text2img run --help');
    const groups = [...stdout.matchAll(/^(\S.*):$/gm)].map(([, name]) => name);
    for (const group of ['Queue and store', 'Worker', 'Image', 'Model and device', 'Output and logs'])
      assert.ok(groups.includes(group), `${group}: ${groups.join(', ')}`);
  });
}
