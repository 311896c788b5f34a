/**
 * Finds out whether a device answers: runs a graph of one addition on it. Nothing less is enough. A provider that ONNX Runtime knows may still fail to
 * load (CUDA's libraries are not in its package) or find no device. `try-device-child.ts` runs this in its own process.
 */
import './no-telemetry.ts';
import { listSupportedBackends } from 'onnxruntime-node';
import type { BuiltGraph, ComputeType } from '../../onnx/graph.ts';
import { ELEMENT_TYPES, encodeModel, type NodeProto, type ValueInfoProto } from '../../onnx/onnx-schema.ts';
import { float32, floatsOf } from '../tensors.ts';
import { messageOf } from '../../lib/disk-errors.ts';
import { providerOf } from './execution-provider.ts';
import { createSession } from './session.ts';

export interface DeviceAnswer {
  /** In which it added two numbers. */
  readonly computeTypes: readonly ComputeType[];
  /** Why one is missing. */
  readonly problem?: string;
}

export async function tryDevice(device: string): Promise<DeviceAnswer> {
  const { name } = providerOf(device);
  if (!listSupportedBackends().some((backend) => backend.name === name))
    return { computeTypes: [], problem: `this build of ONNX Runtime has no ${name} provider` };
  const computeTypes: ComputeType[] = [];
  // The CPU provider has few operators in float16, and the graphs get float32 there.
  for (const computeType of name === 'cpu' ? (['float32'] as const) : (['float32', 'float16'] as const)) {
    const problem = await addOn(device, computeType);
    if (problem !== undefined) return { computeTypes, problem };
    computeTypes.push(computeType);
  }
  return { computeTypes };
}

/** @returns what went wrong */
async function addOn(device: string, computeType: ComputeType): Promise<string | undefined> {
  try {
    const settings = { provider: providerOf(device), threads: 1, spin: false };
    await using session = await createSession(additionGraph(computeType), settings);
    const sum = floatsOf(await session.run({ x: float32(Float32Array.of(1, 2), [2]) }), 'y');
    return sum[1] === 4 ? undefined : `${device} gave a wrong sum in ${computeType}`;
  } catch (error) {
    return messageOf(error);
  }
}

/** `y = x + x`, computed in `computeType`. */
function additionGraph(computeType: ComputeType): BuiltGraph {
  const info = (name: string): ValueInfoProto => ({
    name,
    type: { tensorType: { elemType: ELEMENT_TYPES.float32, shape: { dim: [{ dimParam: 'n' }] } } },
  });
  const cast = (from: string, to: string, type: number): NodeProto => ({
    name: to,
    opType: 'Cast',
    domain: '',
    input: [from],
    output: [to],
    attribute: [{ name: 'to', type: 2, i: type }],
  });
  const node = [
    cast('x', 'xc', ELEMENT_TYPES[computeType]),
    { name: 'sum', opType: 'Add', domain: '', input: ['xc', 'xc'], output: ['sum'], attribute: [] },
    cast('sum', 'y', ELEMENT_TYPES.float32),
  ];
  const model = encodeModel({
    irVersion: 9,
    producerName: 'text2img',
    opsetImport: [{ domain: '', version: 20 }],
    graph: { name: 'addition', node, initializer: [], input: [info('x')], output: [info('y')] },
  });
  return { model, computeType, weightsFolder: '', weightFiles: [], weightBytes: 0, largestInlineBytes: 0, flops: 0 };
}
