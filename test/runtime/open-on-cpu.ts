/** Opens a graph as most tests want it: on the CPU, with one thread. */
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import type { CompileCacheSettings, Network } from '../../src/runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../../src/runtime/registry.ts';

export async function openOnCpu(graph: BuiltGraph, cache?: CompileCacheSettings): Promise<Network> {
  return await DEFAULT_RUNTIME.open(graph, {
    device: 'cpu',
    computeType: 'float32',
    threads: 1,
    use: 'once',
    ...(cache === undefined ? {} : { cache }),
  });
}
