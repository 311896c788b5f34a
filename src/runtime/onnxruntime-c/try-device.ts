/** Finds out whether a device answers through the C API, and in which types. `try-device-child.ts` runs this in its own process. */
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import { additionGraph, addWith } from '../addition-graph.ts';
import type { Network } from '../contract.ts';
import { tryFusedForm } from '../try-fused-form.ts';
import type { DeviceAnswer } from '../try-in-child.ts';
import { openNetwork } from './network.ts';

export async function tryDevice(device: string): Promise<DeviceAnswer> {
  const computeTypes: ComputeType[] = [];
  // The CPU provider has few operators in float16, and the graphs get float32 there.
  for (const computeType of device === 'cpu' ? (['float32'] as const) : (['float32', 'float16'] as const)) {
    const problem = await addWith(`${device} in ${computeType}`, async (inputs) => {
      await using network = await open(additionGraph(computeType), device);
      return await network.run(inputs);
    });
    if (problem !== undefined) return { computeTypes, problem };
    computeTypes.push(computeType);
  }
  return { computeTypes };
}

/** @returns why it cannot have the fused form */
export async function tryFused(device: string, computeTypes: readonly ComputeType[]): Promise<string | undefined> {
  return await tryFusedForm({ computeTypes, open: (graph) => open(graph, device) });
}

async function open(graph: BuiltGraph, device: string): Promise<Network> {
  const { computeType } = graph;
  return await openNetwork(graph, { device, computeType, threads: 1, use: 'once', mostCaptures: 0 });
}
