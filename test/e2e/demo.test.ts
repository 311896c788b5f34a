/** The demo as its user runs it: prompts into an embedded queue, pictures out, and the pictures show what was asked for. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { assertShapeColours, SHAPES } from './pictures.ts';
import { cleanEnvironment, root, runCli, temporaryFolder } from './run-cli.ts';

const prompts = readFileSync(join(root, 'examples', 'prompts.jsonl'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { text: string }).text);

test('npm run demo draws every prompt of the examples, and the shapes have their colours', async () => {
  const dataDir = join(temporaryFolder(), 'data');
  const demo = spawnSync('npm', ['run', '--silent', 'demo'], {
    cwd: root,
    env: cleanEnvironment({ TEXT2IMG_DATA_DIR: dataDir }),
    encoding: 'utf8',
  });
  assert.equal(demo.status, 0, demo.stderr);
  const paths = demo.stdout
    .split(/\s+/)
    .filter((word) => word.startsWith('file://'))
    .map((url) => fileURLToPath(url));
  assert.equal(new Set(paths).size, prompts.length, demo.stdout);
  const last = demo.stderr.trimEnd().split('\n').at(-1) ?? '';
  assert.ok(last.startsWith(`${prompts.length} images in ${join(dataDir, 'generated')} (`), last);
  const drawn = new Map(paths.map((path) => [readGenerationParameters(readFileSync(path)).prompt, path]));
  assert.deepEqual([...drawn.keys()].sort(), [...prompts].sort());
  for (const prompt of Object.keys(SHAPES))
    assertShapeColours(drawn.get(prompt) ?? assert.fail(`${prompt} is not among the examples`), prompt);

  const list = await runCli({ args: ['jobs', 'list', '--status', 'completed', '--json', '--data-dir', dataDir] });
  assert.equal(list.stdout.trim().split('\n').length, prompts.length);
});

test('the pictures of generate carry parameters that draw them again, byte for byte, alone or among several', async () => {
  const folder = temporaryFolder();
  const args = [
    'generate',
    '--prompt',
    'a red circle on a white background',
    '--num-inference-steps',
    '4',
    '--guidance-scale',
    '4',
    '--seed',
    '7',
  ];
  const several = await runCli({ args: [...args, '--num-images', '2', '--output', 'x.png'], cwd: folder });
  assert.equal(several.code, 0, several.stderr);
  const second = readFileSync(join(folder, 'x-2.png'));
  const { seed, guidanceScale, widthPx, heightPx, numInferenceSteps } = readGenerationParameters(second);
  assert.deepEqual([seed, guidanceScale, widthPx, heightPx, numInferenceSteps], [8, 4, 256, 256, 4]);

  const again = await runCli({
    args: ['generate', '--from', 'x-2.png', '--output', 'again.png', '--json'],
    cwd: folder,
  });
  assert.equal(again.code, 0, again.stderr);
  assert.ok(readFileSync(join(folder, 'again.png')).equals(second), 'the same bytes');
  assert.equal((JSON.parse(again.stdout) as { seed: number }).seed, 8);
});

test('without a seed and an output a random seed names the file', async () => {
  const folder = temporaryFolder();
  const { code, stdout, stderr } = await runCli({
    args: ['generate', 'a red circle', '--steps', '1', '--json'],
    cwd: folder,
  });
  assert.equal(code, 0, stderr);
  const { seed, path } = JSON.parse(stdout) as { seed: number; path: string };
  assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  assert.ok(path.endsWith(`text2img-${seed}.png`) && existsSync(join(folder, `text2img-${seed}.png`)));
});
