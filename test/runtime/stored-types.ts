/** Weights of every type that a graph may read, with every pattern of bits of the small ones, and a graph that gives their numbers back. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import { GraphBuilder } from '../../src/onnx/graph.ts';
import type { TensorPlace, Weights } from '../../src/onnx/weights.ts';
import { type StoredTensor, writeTensors } from '../checkpoint/checkpoint-copies.ts';

/** Every pattern of bits of the small types, so that each number, infinity and NaN is there; numbers that float32 rounds. */
export const STORED: Readonly<Record<string, StoredTensor>> = {
  half: { dtype: 'F16', shape: [256, 256], data: everyWord() },
  brain: { dtype: 'BF16', shape: [65_536], data: everyWord() },
  e4m3: { dtype: 'F8_E4M3', shape: [8, 512], data: bytes(8 * 512) },
  e5m2: { dtype: 'F8_E5M2', shape: [8, 512], data: bytes(8 * 512) },
  single: { dtype: 'F32', shape: [3, 500], data: floats(new Float32Array(1500)) },
  double: { dtype: 'F64', shape: [500], data: floats(new Float64Array(500)) },
};

/** One number for the tensor, and one for each row. */
const SCALES: Readonly<Record<string, readonly number[]>> = {
  e4m3: [0.0123],
  e5m2: Array.from({ length: 8 }, (_, row) => 0.1 + row / 3),
};

function everyWord(): Buffer {
  return Buffer.from(Uint16Array.from({ length: 65_536 }, (_, bits) => bits).buffer);
}

function bytes(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, k) => k % 256));
}

function floats(values: Float32Array | Float64Array): Buffer {
  for (let k = 0; k < values.length; k++) values[k] = Math.sin(k) * 10 ** ((k % 9) - 4);
  return Buffer.from(values.buffer);
}

export async function weightsOf(folder: string): Promise<Weights> {
  await mkdir(folder, { recursive: true });
  writeTensors(join(folder, 'model.safetensors'), new Map(Object.entries(STORED)));
  const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
  const scaled = (name: string): TensorPlace => {
    const scale = SCALES[name];
    return { ...weights.place(name), ...(scale === undefined ? {} : { scale }) };
  };
  return {
    component: 'unet',
    names: () => weights.names(),
    has: (name) => weights.has(name),
    place: scaled,
    smallTensor: () => undefined,
  };
}

/** Each weight times the input `one`, as the output `<name>_out`. */
export function graphOf(weights: Weights): ReturnType<GraphBuilder['build']> {
  const g = new GraphBuilder(weights, 'float32');
  const one = g.input('one', 'float32', [1], [1]);
  for (const name of weights.names()) {
    const { shape } = weights.place(name);
    g.output(`${name}_out`, g.node('Mul', [g.weight(name, shape), one], { shape }), shape);
  }
  return g.build('stored types');
}
