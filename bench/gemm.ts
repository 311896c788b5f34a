/** The machine's measured limit: the best matrix product through ONNX Runtime. */
import { DEFAULT_RUNTIME } from '../src/runtime/registry.ts';
import { float32 } from '../src/runtime/tensors.ts';
import { GraphBuilder } from '../src/onnx/graph.ts';
import { median, timeRuns } from './timing.ts';

const NO_WEIGHTS = {
  component: 'gemm',
  names: () => [],
  has: () => false,
  place: () => {
    throw new Error('a matrix product has no weights');
  },
  smallTensor: () => undefined,
};

/** Multiply-adds × 2 per second of size³, median of several runs. */
export async function gemmFlopsPerSecond(size: number, threads: number): Promise<number> {
  const g = new GraphBuilder(NO_WEIGHTS, 'float32');
  const a = g.input('a', 'float32', [size, size], [size, size]);
  const b = g.input('b', 'float32', [size, size], [size, size]);
  g.output('c', g.node('MatMul', [a, b], { shape: [size, size] }), [size, size]);
  await using network = await DEFAULT_RUNTIME.open(g.build('gemm'), {
    device: 'cpu',
    computeType: 'float32',
    threads,
    use: 'every-step',
  });
  const values = Float32Array.from({ length: size * size }, (_, index) => Math.sin(index));
  const tensor = float32(values, [size, size]);
  const seconds = median(await timeRuns(9, () => network.run({ a: tensor, b: tensor })));
  return (2 * size ** 3) / seconds;
}
