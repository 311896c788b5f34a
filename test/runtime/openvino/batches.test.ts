/**
 * A denoising network in OpenVINO: images that share a pass have the bits that each has alone, and in bfloat16 the timestep is exact. In bfloat16 itself
 * 999 and 1000 are one number.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ComputeType } from '../../../src/onnx/compute-type.ts';
import { hasBfloat16 } from '../../../src/runtime/openvino/bfloat16.ts';
import { openvinoIn } from '../../../src/runtime/registry.ts';
import { float32, floatsOf } from '../../../src/runtime/tensors.ts';
import { openKnown } from '../../checkpoint/open-known.ts';
import { openOnCpu } from '../open-on-cpu.ts';
import { LIBRARY_FOLDER, NO_OPENVINO } from './installed-libraries.ts';

const base = fileURLToPath(new URL('../../golden/base', import.meta.url));
const TOKENS = 77;
const SIDE = 16;
const TYPES: readonly ComputeType[] = hasBfloat16() ? ['float32', 'bfloat16'] : ['float32'];

interface Images {
  readonly count: number;
  /** Where its numbers begin: images with the same have the same noise and prompt. */
  readonly first?: number;
  readonly timestep?: number;
}

/** Runs the base checkpoint's UNet. */
async function denoiser(computeType: ComputeType) {
  const { config, weights, networkClass } = (await openKnown(base)).networks.unet;
  const graph = networkClass.build({ config, weights, computeType });
  const network = await openOnCpu(graph, undefined, openvinoIn(LIBRARY_FOLDER));
  const wave = (count: number, first: number, [...shape]: readonly number[]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const data = Float32Array.from({ length: count * size }, (_, k) => Math.sin((first * size + k) ** 2));
    return float32(data, [count, ...shape]);
  };
  const run = async ({ count, first = 0, timestep = 999 }: Images): Promise<Float32Array> => {
    const inputs = {
      sample: wave(count, first, [config.in_channels, SIDE, SIDE]),
      timestep: float32(Float32Array.of(timestep), [1]),
      encoder_hidden_states: wave(count, first, [TOKENS, config.cross_attention_dim as number]),
    };
    return floatsOf(await network.run(inputs), 'out_sample');
  };
  return { run, [Symbol.asyncDispose]: () => network[Symbol.asyncDispose]() };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (b[index] as number))), 0);
}

suite('a denoising network in OpenVINO', { skip: NO_OPENVINO }, () => {
  for (const computeType of TYPES)
    test(`each image of a batch has the bits that it has alone, in ${computeType}`, async () => {
      await using unet = await denoiser(computeType);
      const both = await unet.run({ count: 2 });
      const alone = [await unet.run({ count: 1 }), await unet.run({ count: 1, first: 1 })];
      assert.deepEqual(
        [...both],
        alone.flatMap((image) => [...image]),
      );
      assert.deepEqual(await unet.run({ count: 2 }), both, 'and again after another size');
    });

  test('in bfloat16 the network sees the timestep as it is', {
    skip: TYPES.includes('bfloat16') ? false : 'NOT TESTED: bfloat16; this processor has neither AVX512_BF16 nor AMX',
  }, async () => {
    await using exact = await denoiser('float32');
    await using fast = await denoiser('bfloat16');
    const [expected, result] = [await exact.run({ count: 1 }), await fast.run({ count: 1 })];
    const wrongStep = await exact.run({ count: 1, timestep: 1000 });
    const sizeOf = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    assert.ok(largestDifference(expected, result) < 0.1 * sizeOf, 'bfloat16 is near float32');
    assert.notDeepEqual(await fast.run({ count: 1, timestep: 1000 }), result);
    assert.notDeepEqual(wrongStep, expected);
  });
});
