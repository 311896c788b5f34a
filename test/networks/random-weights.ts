/** Random weights for a network of any configuration: whatever its graph asks for. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import type { TensorPlace, Weights } from '../../src/onnx/weights.ts';
import { writeTensors } from '../checkpoint/checkpoint-copies.ts';

/** Weights that are only asked for. Nothing can run with them. */
export function askedWeights(shapes: Map<string, readonly number[]> = new Map()): Weights {
  return {
    component: 'network',
    names: () => shapes.keys(),
    has: () => true,
    place: (name, asked = []) => {
      shapes.set(name, asked);
      return { dtype: 'F16', shape: asked, file: '/none/none', offsetBytes: 0, lengthBytes: 0 } satisfies TensorPlace;
    },
    smallTensor: () => undefined,
  };
}

/** Numbers between −1 and 1, the same at each run. */
export function* randomNumbers(seed: number): Generator<number, never> {
  let state = seed + 1;
  for (;;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state / 2 ** 31 - 1;
  }
}

const TYPES = {
  F32: (values: Float32Array) => Buffer.from(values.buffer),
  F16: (values: Float32Array) => Buffer.from(Float16Array.from(values).buffer),
  BF16: (values: Float32Array) =>
    Buffer.from(new Uint16Array(values.buffer).filter((_, index) => index % 2 === 1).buffer),
};

/** In a file that lives as long as the test. Scaled by a layer's inputs, so that a deep network stays finite. */
export async function randomWeights(
  t: TestContext,
  build: (weights: Weights) => BuiltGraph,
  dtype: keyof typeof TYPES = 'F32',
): Promise<Weights> {
  const shapes = new Map<string, readonly number[]>();
  build(askedWeights(shapes));
  const folder = mkdtempSync(join(tmpdir(), 'text2img-random-weights-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const numbers = randomNumbers(shapes.size);
  const tensors = Array.from(shapes, ([name, shape]) => {
    const inputs = shape.slice(1).reduce((product, size) => product * size, 1);
    const isVector = shape.length === 1;
    const isNorm = isVector && name.endsWith('weight');
    const length = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from(
      { length },
      () => (isNorm ? 1 : 0) + numbers.next().value * (isVector ? 0.3 : 1.5 / Math.sqrt(inputs)),
    );
    return [name, { dtype, shape, data: TYPES[dtype](values) }] as const;
  });
  writeTensors(join(folder, 'model.safetensors'), new Map(tensors));
  return await openComponentWeights({ component: 'network', folder, baseName: 'model' });
}
