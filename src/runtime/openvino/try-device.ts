/** Finds out whether OpenVINO answers, and in which types this processor computes. `try-device-child.ts` runs this in its own process. */
import type { ComputeType } from '../../onnx/graph.ts';
import { additionGraph, addWith } from '../addition-graph.ts';
import type { DeviceAnswer } from '../try-in-child.ts';
import { hasBfloat16 } from './bfloat16.ts';
import { openNetwork } from './network.ts';

export async function tryDevice(libraryFolder: string): Promise<DeviceAnswer> {
  const computeTypes: ComputeType[] = [];
  for (const computeType of hasBfloat16() ? (['float32', 'bfloat16'] as const) : (['float32'] as const)) {
    const problem = await addWith(`OpenVINO in ${computeType}`, async (inputs) => {
      const options = { device: 'cpu', computeType, threads: 1, use: 'once' } as const;
      await using network = await openNetwork(libraryFolder, additionGraph(computeType), options);
      return await network.run(inputs);
    });
    if (problem !== undefined) return { computeTypes, problem };
    computeTypes.push(computeType);
  }
  return { computeTypes };
}
