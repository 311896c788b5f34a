/** Opens a graph as most tests want it: on the CPU, with one thread. */
import type { BuiltGraph } from '../../src/onnx/graph.ts';
import type { CompileCacheSettings, Network, Runtime } from '../../src/runtime/contract.ts';
import { DEFAULT_RUNTIME } from '../../src/runtime/registry.ts';

export async function openOnCpu(
  graph: BuiltGraph,
  cache?: CompileCacheSettings,
  runtime: Runtime = DEFAULT_RUNTIME,
): Promise<Network> {
  return await runtime.open(graph, {
    device: 'cpu',
    computeType: graph.computeType,
    threads: 1,
    use: 'once',
    ...(cache === undefined ? {} : { cache }),
  });
}
