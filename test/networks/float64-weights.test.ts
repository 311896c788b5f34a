/** Weights in float64, which torch casts to float32 when it loads them. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { openKnown } from '../checkpoint/open-known.ts';
import { proveFit } from '../../src/pipelines/prove-fit.ts';
import { float32, floatsOf } from '../../src/runtime/tensors.ts';
import { copyOfBase, editTensors, VAE } from '../checkpoint/checkpoint-copies.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';

async function decode(folder: string): Promise<Float32Array> {
  const { vae } = proveFit(await openKnown(folder));
  await using network = await openOnCpu(vae);
  const latents = Float32Array.from({ length: 4 * 5 * 3 }, (_, index) => Math.sin(index));
  return floatsOf(await network.run({ latent_sample: float32(latents, [1, 4, 5, 3]) }), 'sample');
}

function widened(t: TestContext): string {
  const folder = copyOfBase(t);
  editTensors(join(folder, VAE), (tensors) => {
    for (const [name, tensor] of tensors) {
      assert.equal(tensor.dtype, 'F32');
      const values = new Float32Array(
        tensor.data.buffer.slice(tensor.data.byteOffset, tensor.data.byteOffset + tensor.data.length),
      );
      // Between two float32 numbers, but nearest to the one that it comes from.
      const between = Float64Array.from(values, (value) => value * (1 + 1e-12));
      tensors.set(name, { ...tensor, dtype: 'F64', data: Buffer.from(between.buffer) });
    }
  });
  return folder;
}

test('weights in float64 give the pixels of the same weights in float32', async (t) => {
  const [single, double] = [await decode(copyOfBase(t)), await decode(widened(t))];
  assert.equal(single.length, 3 * 40 * 24);
  assert.deepEqual(double, single);
});
