/**
 * Finds out whether a device answers: runs a graph of one addition on it. Nothing less is enough. A provider that ONNX Runtime knows may still fail to
 * load (CUDA's libraries are not in its package) or find no device. `try-device-child.ts` runs this in its own process.
 */
import './no-telemetry.ts';
import { listSupportedBackends } from 'onnxruntime-node';
import type { ComputeType } from '../../onnx/graph.ts';
import { additionGraph, addWith } from '../addition-graph.ts';
import type { DeviceAnswer } from '../try-in-child.ts';
import { providerOf } from './execution-provider.ts';
import { createSession } from './session.ts';

export async function tryDevice(device: string): Promise<DeviceAnswer> {
  const { name } = providerOf(device);
  if (!listSupportedBackends().some((backend) => backend.name === name))
    return { computeTypes: [], problem: `this build of ONNX Runtime has no ${name} provider` };
  const computeTypes: ComputeType[] = [];
  // The CPU provider has few operators in float16, and the graphs get float32 there.
  for (const computeType of name === 'cpu' ? (['float32'] as const) : (['float32', 'float16'] as const)) {
    const problem = await addWith(`${device} in ${computeType}`, async (inputs) => {
      const settings = { provider: providerOf(device), threads: 1, spin: false };
      await using session = await createSession(additionGraph(computeType), settings);
      return await session.run(inputs);
    });
    if (problem !== undefined) return { computeTypes, problem };
    computeTypes.push(computeType);
  }
  return { computeTypes };
}
