/** What users of other tools type, in an empty folder: it works, and what is replaced is named. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

const ONE = ['--steps', '1', '--size', '64x128', '--device=cpu'];

test('prompt as argument, letters, sampler of the web UI, a folder as output, and then a file that is replaced', async () => {
  const folder = temporaryFolder();
  const first = await runCli({
    args: ['generate', 'a red circle', ...ONE, '-s', '7', '-n', '2', '--sampler', 'dpm++ 2m  karras', '-o', 'pics/'],
    cwd: folder,
  });
  assert.equal(first.code, 0, first.stderr);
  assert.deepEqual(readdirSync(join(folder, 'pics')), ['text2img-7-1.png', 'text2img-7-2.png']);
  assert.doesNotMatch(first.stderr, /replaced/);
  const { prompt, scheduler, widthPx, heightPx } = readGenerationParameters(
    readFileSync(join(folder, 'pics', 'text2img-7-2.png')),
  );
  assert.deepEqual([prompt, scheduler, widthPx, heightPx], ['a red circle', 'dpmpp_2m_karras', 64, 128]);

  const again = await runCli({
    args: ['generate', '-p', 'a red circle', ...ONE, '--cfg-scale=1', '-s7', '-o', 'pics/text2img-7-1.png', '--json'],
    cwd: folder,
  });
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /^replaced pics\/text2img-7-1\.png$/m);
  assert.equal((JSON.parse(again.stdout) as { replaced: boolean }).replaced, true);
});

test('the seed −1 is another random one each time, whatever the PNG of --from says', async () => {
  const folder = temporaryFolder();
  const made = await runCli({ args: ['generate', 'x', ...ONE, '--seed', '5', '-o', 'x.png'], cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  const seeds: number[] = [];
  for (const from of [['x'], ['--from', 'x.png']]) {
    const { code, stdout, stderr } = await runCli({
      args: ['generate', ...from, ...ONE, '--seed', '-1', '--json'],
      cwd: folder,
    });
    assert.equal(code, 0, stderr);
    const { seed, path } = JSON.parse(stdout) as { seed: number; path: string };
    assert.ok(path.endsWith(`text2img-${seed}.png`) && existsSync(path));
    seeds.push(seed);
  }
  // Two of 2^32 numbers.
  assert.equal(new Set([...seeds, 5]).size, 3);
});

test('without clobbering nothing is drawn over a file, and nothing is drawn at all', async () => {
  const folder = temporaryFolder();
  const made = await runCli({ args: ['generate', 'x', ...ONE, '-o', 'x.png'], cwd: folder });
  assert.equal(made.code, 0, made.stderr);
  const before = statSync(join(folder, 'x.png')).mtimeMs;
  const { code, stderr } = await runCli({
    args: ['generate', 'x', ...ONE, '-o', 'x.png', '--no-clobber'],
    cwd: folder,
  });
  assert.equal(code, 2);
  assert.match(stderr, /"x\.png" exists.*\[invalid_option\]\n$/);
  assert.doesNotMatch(stderr, /loading the model/);
  assert.equal(statSync(join(folder, 'x.png')).mtimeMs, before);
});
