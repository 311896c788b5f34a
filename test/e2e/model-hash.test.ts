/** The model's hash, as other tools show it, in the PNG and in the results; `--from` says where it is another. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readGenerationParameters } from '../../src/image/read-parameters.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const WEIGHTS = 'unet/diffusion_pytorch_model.safetensors';
const DIGEST = `6ce0161689${'b'.repeat(54)}`;

/** The demo with its UNet's weights as a blob, as the hub's cache keeps it: only its name says what it is. */
function cachedDemo(digest: string): string {
  const home = temporaryFolder();
  const folder = join(home, 'snapshots', 'demo');
  cpSync(join(root, 'models/demo'), folder, { recursive: true });
  mkdirSync(join(home, 'blobs'));
  renameSync(join(folder, WEIGHTS), join(home, 'blobs', digest));
  symlinkSync(join('../../../blobs', digest), join(folder, WEIGHTS));
  return folder;
}

test('a PNG and --json name the model by its hash, and --from warns of another one', async () => {
  const output = join(temporaryFolder(), 'a.png');
  const small = ['--num-inference-steps=1', '--width=64', '--height=64', '--device=cpu', '--json'];
  const first = await runCli({
    args: ['generate', `--model=${cachedDemo(DIGEST)}`, '--prompt=a star', '--seed=1', `--output=${output}`, ...small],
  });
  assert.equal(first.code, 0, first.stderr);
  assert.equal((JSON.parse(first.stdout) as { model_hash: string }).model_hash, '6ce0161689');
  assert.equal(readGenerationParameters(readFileSync(output)).modelHash, '6ce0161689');

  const warning = /another model generated the PNG/;
  for (const [digest, isOther] of [
    [DIGEST, false],
    [`f${DIGEST.slice(1)}`, true],
  ] as const) {
    const args = ['generate', `--from=${output}`, `--model=${cachedDemo(digest)}`, '--device=cpu'];
    const again = await runCli({ args: [...args, `--output=${join(temporaryFolder(), 'b.png')}`] });
    assert.deepEqual([again.code, warning.test(again.stderr)], [0, isOther], again.stderr);
  }
});
