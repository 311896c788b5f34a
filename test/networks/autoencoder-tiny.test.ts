/** TAESD's own decoder file, whose names differ from those of diffusers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readConfig } from '../../src/lib/config-rules.ts';
import { AUTOENCODER_TINY } from '../../src/networks/autoencoder-tiny.ts';
import type { Weights } from '../../src/onnx/weights.ts';

const stored = JSON.parse(
  readFileSync(new URL('../vae-files/tiny-decoder/tensors.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, readonly number[]>>;

test('the decoder asks for every tensor of the original decoder file, in its shape, and for no other', () => {
  const shapes = new Map(Object.entries(stored).map(([name, shape]) => [AUTOENCODER_TINY.tensorName(name), shape]));
  const asked = new Set<string>();
  const weights: Weights = {
    component: 'vae',
    names: () => shapes.keys(),
    has: (name) => shapes.has(name),
    place: (name) => {
      asked.add(name);
      const shape = shapes.get(name);
      assert.ok(shape !== undefined, `${name} is not in the file`);
      return { dtype: 'F32', shape, file: '/vae/file', offsetBytes: 0, lengthBytes: 4096 };
    },
    smallTensor: () => undefined,
  };
  const { config } = readConfig(AUTOENCODER_TINY, { decoder_block_out_channels: [8, 8, 8, 8] }, 'vae/config.json');
  AUTOENCODER_TINY.build({ config, weights, computeType: 'float32' });
  assert.deepEqual([...asked].toSorted(), [...shapes.keys()].toSorted());
});
