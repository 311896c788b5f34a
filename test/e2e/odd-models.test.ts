/** Models that draw less than they are asked for, or that cannot draw at all, as the command line tells it. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode } from 'fast-png';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { copyOfBase, editTensors, setKeys, VAE } from '../checkpoint/checkpoint-copies.ts';
import { runCli, temporaryFolder } from './run-cli.ts';

/** One more block in the way up: a latent becomes 16 pixels wide and high. */
function fiveBlocks(folder: string): void {
  setKeys(join(folder, 'vae/config.json'), {
    block_out_channels: [8, 8, 16, 16, 16],
    up_block_types: Array.from({ length: 5 }, () => 'UpDecoderBlock2D'),
  });
  editTensors(join(folder, VAE), (tensors) => {
    // The blocks of 16, 16, 8 and 8 channels: the second stands twice.
    for (const block of [3, 2, 1]) {
      for (const [name, tensor] of tensors) {
        if (!name.startsWith(`decoder.up_blocks.${block}.`)) continue;
        tensors.set(name.replace(`up_blocks.${block}.`, `up_blocks.${block + 1}.`), tensor);
        if (block !== 1) tensors.delete(name);
      }
    }
  });
}

test('an autoencoder of five blocks: PNG and --json have the size as drawn, and a warning says so', async (t) => {
  const folder = copyOfBase(t);
  fiveBlocks(folder);
  const output = join(temporaryFolder(), 'small.png');
  const options = ['--prompt=a red circle', '--seed=1', '--num-inference-steps=2', '--device=cpu', '--json'];
  const drawn = await runCli({
    args: ['generate', `--model=${folder}`, `--output=${output}`, '--width=72', '--height=40', ...options],
  });
  assert.equal(drawn.code, 0, drawn.stderr);
  const told = JSON.parse(drawn.stdout) as { width: number; height: number; warnings: string[] };
  const png = readFileSync(output);
  const { width, height } = decode(png);
  assert.deepEqual([width, height], [64, 32]);
  assert.deepEqual([told.width, told.height], [64, 32]);
  assert.match(told.warnings[0] ?? '', /64×32 pixels, not 72×40/);
  const { widthPx, heightPx } = readGenerationParameters(png);
  assert.deepEqual([widthPx, heightPx], [64, 32]);

  const tooSmall = await runCli({
    args: ['generate', `--model=${folder}`, `--output=${output}`, '--width=8', '--height=64', ...options],
  });
  assert.equal(tooSmall.code, 3, tooSmall.stderr);
  assert.match(tooSmall.stderr, /"width" is 8; allowed are multiples of 8 from 16/);
});

test('a model that does not fit is told with the same sentence by generate, doctor, models list and models show', async (t) => {
  const home = temporaryFolder();
  const commit = 'b'.repeat(40);
  const repository = join(home, 'hub/models--o--n');
  const folder = join(repository, 'snapshots', commit);
  cpSync(copyOfBase(t), folder, { recursive: true });
  mkdirSync(join(repository, 'refs'));
  writeFileSync(join(repository, 'refs/main'), commit);
  setKeys(join(folder, 'vae/config.json'), { norm_num_groups: 3 });
  const environment = { HF_HOME: home, TEXT2IMG_DATA_DIR: join(home, 'data') };
  const sentence = /vae\/config\.json: "norm_num_groups" is 3, which does not divide 8, 16 of "block_out_channels"/;

  const output = join(home, 'none.png');
  const generate = await runCli({
    args: ['generate', '--model=o/n', '--offline', '--prompt=x', `--output=${output}`],
    environment,
  });
  assert.deepEqual([generate.code, sentence.test(generate.stderr)], [4, true], generate.stderr);
  const doctor = await runCli({ args: ['doctor', '--model=o/n'], environment });
  assert.deepEqual([doctor.code, sentence.test(doctor.stdout)], [5, true], doctor.stdout);
  const list = await runCli({ args: ['models', 'list'], environment });
  assert.deepEqual([list.code, sentence.test(list.stdout)], [0, true], list.stdout);
  assert.equal(list.stdout.trim().split('\n').length, 1);
  const show = await runCli({ args: ['models', 'show', 'o/n'], environment });
  assert.deepEqual([show.code, sentence.test(show.stderr)], [4, true], show.stderr);
});
