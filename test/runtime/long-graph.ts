/** A graph whose run takes long enough to be ended in its midst. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openComponentWeights } from '../../src/checkpoint/component-weights.ts';
import { type BuiltGraph, GraphBuilder } from '../../src/onnx/graph.ts';
import { float32 } from '../../src/runtime/tensors.ts';
import { writeTensors } from '../checkpoint/checkpoint-copies.ts';

const SIDE = 512;
const PRODUCTS = 200;
export const LONG_INPUTS = { x: float32(new Float32Array(SIDE * SIDE).fill(1 / SIDE), [SIDE, SIDE]) };

/** Products one after the other: 200 × 0.27 GFLOP. @param folder of its weights */
export async function longGraph(folder: string): Promise<BuiltGraph> {
  await mkdir(folder, { recursive: true });
  const data = Buffer.from(new Float32Array(SIDE * SIDE).fill(1 / SIDE).buffer);
  writeTensors(join(folder, 'model.safetensors'), new Map([['w', { dtype: 'F32', shape: [SIDE, SIDE], data }]]));
  const weights = await openComponentWeights({ component: 'unet', folder, baseName: 'model' });
  const g = new GraphBuilder(weights, 'float32');
  let x = g.input('x', 'float32', [SIDE, SIDE], [SIDE, SIDE]);
  for (let k = 0; k < PRODUCTS; k++) x = g.node('MatMul', [x, g.weight('w', [SIDE, SIDE])], { shape: [SIDE, SIDE] });
  g.output('y', x, [SIDE, SIDE]);
  return g.build('many products');
}

export async function secondsOf(action: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await action();
  return (performance.now() - startMs) / 1000;
}
