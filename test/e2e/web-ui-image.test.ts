/** An image of a web UI as the source of `generate --from`, on the command line. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPngChunks, writePng } from '../../src/image/png-chunks.ts';
import { encodeTextChunk } from '../../src/image/png-text.ts';
import { root, runCli, temporaryFolder } from './run-cli.ts';

const WARNING = /the PNG’s "Clip skip" has no effect with this kind of model/g;

/** An image whose text is the web UI's. */
async function webUiImage(folder: string, clipSkip: string): Promise<string> {
  const path = join(folder, `clip-skip${clipSkip.replaceAll(/\W/g, '')}.png`);
  const made = await runCli({ args: ['generate', 'a', '--steps', '1', '--size', '64x64', '--output', path] });
  assert.equal(made.code, 0, made.stderr);
  const text = `a red fox\nSteps: 1, Sampler: Euler, CFG scale: 3, Seed: 7, Size: 64x48${clipSkip}, Version: v1.10.1`;
  const chunks = readPngChunks(readFileSync(path)).filter(({ type }) => !['tEXt', 'IEND'].includes(type));
  writeFileSync(
    path,
    writePng([...chunks, encodeTextChunk('parameters', text), { type: 'IEND', data: new Uint8Array() }]),
  );
  return path;
}

test('"Clip skip" of a web UI leaves out a layer of Stable Diffusion 1.x, and is dropped for XL with one warning', async () => {
  const folder = temporaryFolder();
  const [without, with2] = [await webUiImage(folder, ''), await webUiImage(folder, ', Clip skip: 2')];
  for (const [base, isDropped] of [
    ['base', false],
    ['base-xl', true],
  ] as const) {
    const images: Buffer[] = [];
    for (const [index, from] of [without, with2].entries()) {
      const output = join(folder, `${base}-${index}.png`);
      const args = ['generate', '--from', from, '--model', join(root, 'test/golden', base), '--output', output];
      const { code, stderr } = await runCli({ args });
      assert.equal(code, 0, stderr);
      assert.equal(stderr.match(WARNING)?.length ?? 0, isDropped && from === with2 ? 1 : 0, stderr);
      images.push(readFileSync(output));
    }
    assert.equal(images[0]?.equals(images[1] as Buffer), isDropped, base);
  }
});
