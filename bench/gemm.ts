/** The machine's measured limit: the best matrix product through ONNX Runtime. */
import { createSession } from '../src/runtime/onnxruntime/session.ts';
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
  await using session = await createSession(g.build('gemm'), { provider: { name: 'cpu' }, threads, spin: true });
  const values = Float32Array.from({ length: size * size }, (_, index) => Math.sin(index));
  const tensor = { data: values, shape: [size, size] };
  const seconds = median(await timeRuns(9, () => session.run({ a: tensor, b: tensor })));
  return (2 * size ** 3) / seconds;
}
