/** The sinusoids of a timestep, for even and odd numbers of channels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Weights } from '../../src/onnx/weights.ts';
import { timestepProjection } from '../../src/networks/layers/timestep-embedding.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import { float32, floatsOf } from '../../src/runtime/tensors.ts';
import { openOnCpu } from '../runtime/open-on-cpu.ts';

const none: Weights = {
  component: 'none',
  names: () => [],
  has: () => false,
  place: (name) => assert.fail(`no tensor is needed, but "${name}" was asked for`),
  smallTensor: () => undefined,
};

async function project(channels: number, flipSinToCos: boolean): Promise<number[]> {
  const g = new GraphBuilder(none, 'float32');
  const timestep = g.input('timestep', 'float32', [1], [1]);
  g.output('y', timestepProjection(g, timestep, { channels, flipSinToCos, freqShift: 0 }), [1, channels]);
  await using network = await openOnCpu(g.build('test'));
  return [...floatsOf(await network.run({ timestep: float32(Float32Array.of(3), [1]) }), 'y')];
}

// Frequencies 10000^0 and 10000^(-1/2): the angles of timestep 3 are 3 and 0.03.
const [sines, cosines] = [
  [Math.sin(3), Math.sin(0.03)],
  [Math.cos(3), Math.cos(0.03)],
];
for (const [channels, flip, expected] of [
  [4, false, [...sines, ...cosines]],
  [4, true, [...cosines, ...sines]],
  // As get_timestep_embedding of diffusers pads it.
  [5, false, [...sines, ...cosines, 0]],
  [5, true, [...cosines, ...sines, 0]],
] as const) {
  test(`${channels} channels, ${flip ? 'cosines' : 'sines'} first`, async () => {
    const projected = await project(channels, flip);
    assert.equal(projected.length, channels);
    for (const [index, value] of projected.entries())
      assert.ok(Math.abs(value - (expected[index] as number)) < 1e-6, `${index}: ${value}, not ${expected[index]}`);
  });
}
